import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { z } from "zod";
import { namespace } from "../../../lib/kinds/namespace";
import type { Step } from "../../../lib/kinds/step";
import { converges } from "../../support/converge";
import { closeShared, run } from "../../support/host";
import { namespaceSpecs } from "../../support/specs/namespace";

const name = `nlt-${process.pid}-ns`;
const folder = `/etc/netns/${name}`;
const file = `${folder}/resolv.conf`;
/** Whether the machine had the folder before: then it stays. */
const hadFolder = existsSync("/etc/netns");

type Input = z.input<typeof namespace.schema>;
const owner = { owner: "netloom:test" };

const spec = (given: Partial<Input> = {}) => namespace.schema.parse({ name, ...given });
const observe = async (of: ReturnType<typeof spec>) =>
  namespace.observe(await run([], namespace.queries(of)), [of]);
const reach = async (to: ReturnType<typeof spec>) => {
  await run(namespace.plan(await observe(to), to, owner));
  expect(await observe(to)).toEqual(to);
};
const ip = (...args: string[]): Step => ({ tool: "ip", args });
const inside = (...args: string[]): Step => ({ tool: "ip", netns: name, args });

afterAll(closeShared);
afterEach(async () => {
  const all = spec({ resolvConf: { nameservers: [] } });
  await run(namespace.plan(await observe(all), undefined, owner));
  expect(await observe(all)).toBeUndefined();
  expect(existsSync(folder)).toBe(false);
  expect(existsSync("/etc/netns")).toBe(hadFolder);
});

test("namespaces converge from any to any other, also after an interruption", async () => {
  await converges({ kind: namespace, specs: namespaceSpecs(name), run, cases: 30 });
});

test("several that are made in one batch leave the batch where it was", async () => {
  const names = ["a", "b"].map((letter) => `${name}-${letter}`);
  const plans = names.flatMap((one) =>
    namespace.plan(undefined, namespace.schema.parse({ name: one }), owner),
  );
  await run([...plans, ip("netns", "add", `${name}-c`)]);
  const query = { tool: "ip" as const, args: ["netns", "list"] };
  const listed = (await run([], [query])).get(query);
  const found = listed.ok ? (listed.value as { name: string }[]).map((one) => one.name) : [];
  expect(found).toEqual(expect.arrayContaining([...names, `${name}-c`]));
  await run([...names, `${name}-c`].map((one) => ip("netns", "del", one)));
});

describe("a namespace changed behind our back", () => {
  const wanted = spec({
    sysctls: { "net/ipv4/ip_forward": "1" },
    resolvConf: { nameservers: ["192.0.2.53"], search: ["example.org"] },
  });
  beforeEach(() => reach(wanted));

  test("a loopback that is down shows, and the repair brings it up and does nothing else", async () => {
    await run([inside("link", "set", "dev", "lo", "down")]);
    const found = await observe(wanted);
    expect(found).toEqual({ ...wanted, loopback: false });
    expect(namespace.plan(found, wanted, owner)).toEqual([inside("link", "set", "dev", "lo", "up")]);
  });

  test("a setting that was changed shows", async () => {
    await run([{ tool: "sysctl", netns: name, values: { "net/ipv4/ip_forward": "0" } }]);
    expect(await observe(wanted)).toEqual({ ...wanted, sysctls: { "net/ipv4/ip_forward": "0" } });
  });

  test("a line in resolv.conf that has no words shows, and is written over", async () => {
    writeFileSync(file, `${readFileSync(file, "utf8")}options rotate\n`);
    expect(await observe(wanted)).toEqual({
      ...wanted,
      resolvConf: { ...wanted.resolvConf, unrecognised: ["options rotate"] },
    });
    await reach(wanted);
    expect(readFileSync(file, "utf8")).toBe("search example.org\nnameserver 192.0.2.53\n");
  });

  test("after a reboot the file is left: the namespace shows as missing and is made again", async () => {
    await run([ip("netns", "del", name)]);
    const found = await observe(wanted);
    expect(found).toEqual({ name, resolvConf: wanted.resolvConf });
    await reach(wanted);
  });

  test("after a reboot a delete takes the file that is left", async () => {
    await run([ip("netns", "del", name)]);
    await run(namespace.plan(await observe(wanted), undefined, owner));
    expect(existsSync(file)).toBe(false);
  });

  test("taking name servers out of the program takes the file away", async () => {
    const policy = namespace.policy.resolvConf;
    const unset = policy.change === "inPlace" ? policy.unset : undefined;
    await reach(namespace.schema.parse({ ...wanted, resolvConf: unset }));
    expect(existsSync(file)).toBe(false);
  });
});

test("a resolv.conf that is not asked for is left alone", async () => {
  mkdirSync(folder, { recursive: true });
  writeFileSync(file, "nameserver 192.0.2.1\n");
  await reach(spec());
  await run(namespace.plan(await observe(spec()), undefined, owner));
  expect(readFileSync(file, "utf8")).toBe("nameserver 192.0.2.1\n");
  rmSync(folder, { recursive: true });
  if (!hadFolder) rmSync("/etc/netns", { recursive: true });
});

test("an import finds what is there", async () => {
  await reach(spec({ loopback: false, resolvConf: { nameservers: ["192.0.2.53"] } }));
  const located = namespace.locate([name]);
  if (located === undefined) throw new Error("the id is not understood");
  expect(namespace.observe(await run([], namespace.queries(located)), [located])).toEqual({
    name,
    loopback: false,
    resolvConf: { nameservers: ["192.0.2.53"], search: [] },
  });
});

test("what is left of a namespace is said to be that, with the way to remove it", async () => {
  writeFileSync(`/run/netns/${name}`, "");
  const looked = observe(spec());
  await expect(looked).rejects.toThrow(/cannot be entered.*ip netns del/s);
  await run([ip("netns", "del", name)]);
});
