import { sysctls } from "../../../lib/kinds/sysctls";
import { converges } from "../../support/converge";
import { run } from "../../support/host";
import { scratchNetns } from "../../support/scratch";
import { sysctlsSpecs } from "../../support/specs/sysctls";

const netns = scratchNetns("sysctls");

test("sets of settings converge from any to any other, also after an interruption", async () => {
  await converges({ kind: sysctls, specs: sysctlsSpecs(netns), run, cases: 30 });
});

const parse = (given: Record<string, string>) => sysctls.schema.parse({ netns, name: "set", values: given });
const observe = async (spec: ReturnType<typeof parse>) =>
  sysctls.observe(await run([], sysctls.queries(spec)), [spec]);
const context = { owner: "netloom:test" };

test("what was there before is a state that can be put back", async () => {
  const spec = parse({
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/accept_redirects": "1",
    "net/ipv4/conf/v0/forwarding": "0",
  });
  await run(
    sysctls.plan(await observe(spec), parse({ ...spec.values, "net/ipv4/ip_forward": "0" }), context),
  );
  const before = await observe(spec);
  if (before === undefined) throw new Error("the namespace is gone");
  await run(sysctls.plan(before, spec, context));
  expect(await observe(spec)).toEqual(spec);
  await run(sysctls.plan(await observe(spec), before, context));
  expect(await observe(spec)).toEqual(before);
});

test("a setting changed behind our back is the one that shows, and the one that is written", async () => {
  const spec = parse({ "net/ipv4/tcp_rmem": "4096 131072 6291456", "net/ipv4/tcp_sack": "1" });
  await run(sysctls.plan(await observe(spec), spec, context));
  await run([{ tool: "sysctl", netns, values: { "net/ipv4/tcp_sack": "0" } }]);
  const found = await observe(spec);
  expect(found?.values).toEqual({ ...spec.values, "net/ipv4/tcp_sack": "0" });
  expect(sysctls.plan(found, spec, context)).toEqual([
    { tool: "sysctl", netns, values: { "net/ipv4/tcp_sack": "1" } },
  ]);
});

test("a setting that this kernel has not is named", async () => {
  const spec = parse({ "net/ipv4/no_such_setting": "1" });
  expect(await observe(spec)).toEqual({ ...spec, values: {} });
  const error: unknown = await run(sysctls.plan(await observe(spec), spec, context)).catch(
    (thrown: unknown) => thrown,
  );
  expect(sysctls.explain?.(String(error), spec)).toMatch(/This kernel has no net\/ipv4\/no_such_setting/);
});

test("a value that the kernel does not take is told with its setting", async () => {
  const spec = parse({ "net/ipv4/ip_forward": "perhaps" });
  const error: unknown = await run(sysctls.plan(await observe(spec), spec, context)).catch(
    (thrown: unknown) => thrown,
  );
  expect(sysctls.explain?.(String(error), spec)).toMatch(
    /does not take this value for net\/ipv4\/ip_forward/,
  );
});

test("the setting of a link that is not there says which link", async () => {
  const spec = parse({ "net/ipv4/conf/nope0/rp_filter": "1" });
  const error: unknown = await run(sysctls.plan(await observe(spec), spec, context)).catch(
    (thrown: unknown) => thrown,
  );
  expect(sysctls.explain?.(String(error), spec)).toMatch(/there is no link nope0/);
});

test("a namespace that is gone has no settings", async () => {
  const spec = sysctls.schema.parse({
    netns: `${netns}-gone`,
    name: "set",
    values: { "net/ipv4/ip_forward": "1" },
  });
  expect(sysctls.observe(await run([], sysctls.queries(spec)), [spec])).toBeUndefined();
});
