import { resourcesOf } from "../../../lib/cli/stack-state";
import { asText, countingOf, readAll } from "../../../lib/cli/stats";
import { HostError } from "../../../lib/host";

const SECRET = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270" };
const key = "-----BEGIN KEY-----\nabc\n-----END KEY-----\n";
const own = "-----BEGIN KEY-----\nown\n-----END KEY-----\n";
const provider = "urn:pulumi:dev::p::pulumi:providers:netloom::netloom";
const seen = { map: "seen", key: [{ name: "hook", type: "u32" }], value: [{ name: "packets", type: "u64" }] };

/** What `pulumi stack export --show-secrets` prints of two programs on two hosts, and of what is none of ours. */
const state = {
  deployment: {
    resources: [
      { type: "pulumi:pulumi:Stack", urn: "urn:pulumi:dev::p::pulumi:pulumi:Stack::p-dev" },
      {
        type: "pulumi:providers:netloom",
        urn: provider,
        id: "1234",
        inputs: {
          privateKey: { ...SECRET, plaintext: JSON.stringify(key) },
          hostPrivateKeys: { ...SECRET, plaintext: JSON.stringify(JSON.stringify({ far: own })) },
          stateDirectory: "/srv/netloom",
        },
      },
      ...["near", "far"].map((name) => ({
        type: "netloom:bpf:Program",
        urn: `urn:pulumi:dev::p::netloom:bpf:Program::${name}/mux`,
        id: `${name}/mux`,
        provider: `${provider}::1234`,
        inputs: {
          host: { name, address: "192.0.2.1", port: 2222 },
          name: "mux",
          object: "/x.o",
          version: "1",
          statistics: { seen },
        },
      })),
      { type: "netloom:net:Link", urn: "urn:x", id: "near/gre1", provider: `${provider}::1234`, inputs: {} },
      { type: "random:index:Id", urn: "urn:y", id: "z", provider: "urn:other::1", inputs: {} },
    ],
  },
};

test("a state tells its hosts, the key of each, and where they keep their ledger", () => {
  expect(resourcesOf(state)).toEqual([
    expect.objectContaining({
      id: "near/mux",
      host: { name: "near", address: "192.0.2.1", port: 2222 },
      credentials: { privateKey: key },
      folders: { state: "/srv/netloom/state", run: "/srv/netloom/run" },
    }),
    expect.objectContaining({ id: "far/mux", credentials: { privateKey: own } }),
  ]);
  expect(resourcesOf({ version: 3 })).toEqual([]);
});

test("programs are chosen by host or by name", () => {
  const ids = (which?: string) => countingOf(resourcesOf(state), which).map(({ resource }) => resource.id);
  expect([ids(), ids("far"), ids("near/mux")]).toEqual([["near/mux", "far/mux"], ["far/mux"], ["near/mux"]]);
  expect(() => ids("ne")).toThrow("there are near/mux, far/mux");
  expect(() => countingOf([])).not.toThrow();
  expect(() => countingOf([], "x")).toThrow('"statistics" of a BpfObject says what a program counts');
});

test("a host that cannot be reached does not keep the others from being shown", async () => {
  const closed: string[] = [];
  const open = ((host: { name: string }) => ({
    run: () =>
      host.name === "far"
        ? Promise.reject(new HostError("no route", true))
        : Promise.resolve({
            facts: {
              get: () => ({
                ok: true,
                value: [
                  {
                    key: ["0x02", "0x00", "0x00", "0x00"],
                    value: ["0x07", ...new Array<string>(7).fill("0x00")],
                  },
                ],
              }),
            },
          }),
    close: () => Promise.resolve(void closed.push(host.name)),
  })) as unknown as Parameters<typeof readAll>[1];
  expect(await readAll(countingOf(resourcesOf(state)), open)).toEqual({
    tables: [
      {
        host: "near",
        program: "mux",
        table: "seen",
        rows: [{ of: { hook: "2" }, counters: { packets: 7 } }],
      },
    ],
    unread: [{ id: "far/mux", error: "no route" }],
  });
  expect(closed.sort()).toEqual(["far", "near"]);
});

test("tables have names to the left and numbers to the right", () => {
  const rows = [
    {
      of: { tunnel: "paris", reason: "sent" },
      counters: { packets: 1234567, bytes: "18446744073709551615" },
    },
    { of: { tunnel: "x", reason: "no route" }, counters: { packets: 3, bytes: 0 } },
  ];
  expect(
    asText([
      { host: "edge", program: "mux", table: "drops", rows },
      { host: "edge", program: "mux", table: "more", rows: [] },
    ]),
  ).toBe(
    [
      "edge/mux: drops",
      "  tunnel  reason      packets                       bytes",
      "  paris   sent      1,234,567  18,446,744,073,709,551,615",
      "  x       no route          3                           0",
      "",
      "edge/mux: more",
      "  nothing yet",
      "",
    ].join("\n"),
  );
});
