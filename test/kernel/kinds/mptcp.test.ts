import * as fc from "fast-check";
import { mptcp } from "../../../lib/kinds/mptcp";
import { converges } from "../../support/converge";
import { run } from "../../support/host";
import { scratchNetns } from "../../support/scratch";

const netns = scratchNetns("mptcp");

/** Endpoints with numbers of their own among a few addresses, one of them on a link. */
const endpoints = fc
  .uniqueArray(fc.constantFrom("10.9.9.1", "10.9.9.2", "2001:db8::1"), { maxLength: 3 })
  .chain((addresses) =>
    fc
      .tuple(
        ...addresses.map((address, index) =>
          fc.record({
            id: fc.constant(index + 1),
            flags: fc.constantFrom<("signal" | "subflow" | "backup" | "fullmesh")[]>(
              ["signal"],
              ["subflow"],
              ["subflow", "backup"],
              ["subflow", "fullmesh"],
            ),
            dev: fc.option(fc.constant(address.includes(":") ? "lo" : undefined), { nil: undefined }),
          }),
        ),
      )
      .map((values) => Object.fromEntries(values.map((value, index) => [addresses[index]!, value]))),
  );

const specs = fc.record(
  {
    netns: fc.constant(netns),
    name: fc.constant("paths"),
    endpoints,
    limits: fc.record({
      subflows: fc.integer({ min: 0, max: 8 }),
      addAddrAccepted: fc.integer({ min: 0, max: 8 }),
    }),
  },
  { requiredKeys: ["netns", "name", "endpoints"] },
);

test("a set of endpoints and limits converges from any to any other, also after an interruption", async () => {
  await converges({ kind: mptcp, specs, run, cases: 12 });
});

test("endpoints of others stay as they are", async () => {
  const spec = mptcp.schema.parse({
    netns,
    name: "paths",
    endpoints: { "10.9.9.1": { id: 1, flags: ["signal"] } },
    limits: { subflows: 2, addAddrAccepted: 2 },
  });
  const theirs = {
    tool: "ip",
    netns,
    args: ["mptcp", "endpoint", "add", "10.9.9.7", "id", "9", "subflow"],
  };
  // The random sets before it left what they came to.
  const flush = { tool: "ip", netns, args: ["mptcp", "endpoint", "flush"] };
  await run([flush as never, theirs as never]);
  const before = mptcp.observe(await run([], mptcp.queries(spec)), [spec]);
  await run(mptcp.plan(before, spec, { owner: "x" }));
  const current = mptcp.observe(await run([], mptcp.queries(spec)), [spec]);
  expect(current).toEqual(spec);
  await run(mptcp.plan(current, { ...spec, endpoints: {} }, { owner: "x" }));
  const asked = mptcp.schema.parse({ ...spec, endpoints: { "10.9.9.7": { id: 9, flags: ["subflow"] } } });
  expect(mptcp.observe(await run([], mptcp.queries(asked)), [asked])).toEqual(asked);
});
