import fc from "fast-check";
import { contains, overlaps, parseCidr } from "../../../../lib/synth/cidr";
import type { Cidr } from "../../../../lib/synth/cidr";
import { Subscribers } from "../../../../constructs/isp/subscribers";
import { TunnelAllocation } from "../../../../constructs/isp/tunnel-addresses";
import type { TunnelPools } from "../../../../constructs/isp/tunnel-addresses";
import { messagesOf } from "./helpers";

const plan = { downloadMax: 10, uploadMax: 10 };
const subscribersOf = (ids: readonly string[]) => Subscribers.of(ids.map((id) => ({ id, plan }))).all;
const allocate = (ids: readonly string[], pools: TunnelPools) =>
  TunnelAllocation.of(subscribersOf(ids), pools);
const cidr = (text: string) => parseCidr(text) as Cidr;

describe("Tunnel addresses", () => {
  it("begin as in the original: the first subscriber's /30 is the pool's first", () => {
    const { tunnels } = allocate(["pi-1", "pi-2"], { ipv4: "192.168.11.0/24" });
    expect(tunnels.get("pi-1")).toEqual({
      number: 1,
      ipv4: { subnet: "192.168.11.0/30", server: "192.168.11.1/30", client: "192.168.11.2/30" },
    });
    expect(tunnels.get("pi-2")?.ipv4?.client).toBe("192.168.11.6/30");
  });

  it("may be of both families, with subnets of two", () => {
    const { tunnels } = allocate(["3"], { ipv4: "10.0.0.0/24", ipv4Length: 31, ipv6: "fd00:15b::/112" });
    expect(tunnels.get("3")).toEqual({
      number: 3,
      ipv4: { subnet: "10.0.0.4/31", server: "10.0.0.4/31", client: "10.0.0.5/31" },
      ipv6: { subnet: "fd00:15b::4/127", server: "fd00:15b::4/127", client: "fd00:15b::5/127" },
    });
    expect(allocate(["1"], { ipv6: "fd00::/64", ipv6Length: 126 }).tunnels.get("1")?.ipv6).toEqual({
      subnet: "fd00::/126",
      server: "fd00::1/126",
      client: "fd00::2/126",
    });
  });

  it("lie in the pool, do not overlap, and hold both ends", () => {
    const pools = fc.constantFrom<TunnelPools>(
      { ipv4: "100.64.0.0/10" },
      { ipv4: "10.0.0.0/18", ipv4Length: 31 },
      { ipv6: "fd00::/108" },
    );
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 1, max: 8192 }), { maxLength: 20 }),
        pools,
        (ids, pool) => {
          const found = [...allocate(ids.map(String), pool).tunnels.values()].map(
            ({ ipv4, ipv6 }) => ipv4 ?? ipv6,
          );
          const subnets = found.map((tunnel) => cidr(tunnel?.subnet ?? ""));
          subnets.forEach((subnet, index) => {
            expect(contains(cidr(pool.ipv4 ?? pool.ipv6 ?? ""), subnet)).toBe(true);
            const { server = "", client = "" } = found[index] ?? {};
            expect(contains(subnet, cidr(server)) && contains(subnet, cidr(client))).toBe(true);
            expect(server).not.toBe(client);
            for (const other of subnets.slice(index + 1)) expect(overlaps(subnet, other)).toBe(false);
          });
        },
      ),
    );
  });

  it("do not change for anybody when a subscriber is added or removed", () => {
    const id = fc.stringMatching(/^[a-z]{8,12}$/);
    fc.assert(
      fc.property(fc.uniqueArray(id, { minLength: 1, maxLength: 12 }), id, (ids, newcomer) => {
        fc.pre(!ids.includes(newcomer));
        const pools = { ipv4: "10.0.0.0/8", ipv6: "fd00::/64" };
        let with_: TunnelAllocation;
        try {
          with_ = allocate([...ids, newcomer], pools);
        } catch {
          return fc.pre(false); // two hashes met: that is an error, not a renumbering
        }
        const without = allocate(ids, pools);
        for (const one of ids) expect(with_.tunnels.get(one)).toEqual(without.tunnels.get(one));
      }),
    );
  });

  it("say how many fit into a pool that is too small, and what would do", () => {
    const ids = Array.from({ length: 100 }, (_, i) => `pi-${i + 1}`);
    expect(messagesOf(() => allocate(ids, { ipv4: "192.168.11.0/24" }))).toEqual([
      "192.168.11.0/24 in /30 tunnels fits 64 subscribers and there are 100; a /23 (or /31 tunnels in half of it) would do",
    ]);
    expect(allocate(ids, { ipv4: "192.168.10.0/23" }).tunnels.size).toBe(100);
    expect(allocate(ids, { ipv4: "192.168.11.0/24", ipv4Length: 31 }).tunnels.size).toBe(100);
  });

  it.each<[string, TunnelPools, string]>([
    ["no prefix", { ipv4: "192.168.11.0" }, 'tunnelPool | "192.168.11.0" is no IPv4 prefix'],
    ["of the other family", { ipv4: "fd00::/64" }, 'tunnelPool | "fd00::/64" is no IPv4 prefix'],
    [
      "with host bits",
      { ipv4: "192.168.11.1/24" },
      "tunnelPool | 192.168.11.1/24 has bits set beyond its prefix; 192.168.11.0/24 is the prefix",
    ],
    [
      "smaller than a tunnel",
      { ipv4: "192.168.11.0/31" },
      "tunnelPool | 192.168.11.0/31 is smaller than one /30 tunnel",
    ],
  ])("refuse a pool that is %s", (_, pools, message) => {
    expect(messagesOf(() => allocate(["1"], pools))).toEqual([message]);
  });

  it("keep the address that a file lists for a subscriber already", () => {
    const { all } = Subscribers.of([
      { id: "lab", plan, addresses: ["192.168.11.22"] },
      { id: "out", plan, addresses: ["203.0.113.9"] },
    ]);
    const allocation = TunnelAllocation.of(all, { ipv4: "192.168.11.0/24" });
    expect(allocation.tunnels.get("lab")).toMatchObject({ number: 6, ipv4: { client: "192.168.11.22/30" } });
    expect(all.map((one) => allocation.addressesOf(one))).toEqual([["192.168.11.22"], ["203.0.113.9"]]);
  });

  it("are what a subscriber without addresses of its own is known by", () => {
    const all = subscribersOf(["2"]);
    const allocation = TunnelAllocation.of(all, { ipv4: "192.168.11.0/24", ipv6: "fd00::/112" });
    expect(allocation.addressesOf(all[0]!)).toEqual(["192.168.11.6", "fd00::3"]);
  });

  it.each<[string, Parameters<typeof Subscribers.of>[0][number], string]>([
    [
      "the server's",
      { id: "a", plan, addresses: ["192.168.11.5"] },
      'subscriber "a" | 192.168.11.5 is in the tunnel pool and not a client\'s address; 192.168.11.6 is, in 192.168.11.4/30',
    ],
    [
      "another number's",
      { id: "a", plan, number: 9, addresses: ["192.168.11.6"] },
      'subscriber "a" | 192.168.11.6 is tunnel 2 of the pool 192.168.11.0/24 and the subscriber\'s number is 9',
    ],
    [
      "several tunnels'",
      { id: "a", plan, addresses: ["192.168.11.0/29"] },
      'subscriber "a" | 192.168.11.0/29 covers several tunnels of the pool 192.168.11.0/24',
    ],
    [
      "the whole pool's",
      { id: "a", plan, addresses: ["192.168.0.0/16"] },
      'subscriber "a" | 192.168.0.0/16 covers several tunnels of the pool 192.168.11.0/24',
    ],
  ])("refuse an address of the pool that is %s", (_, subscriber, message) => {
    const { all } = Subscribers.of([subscriber]);
    expect(messagesOf(() => TunnelAllocation.of(all, { ipv4: "192.168.11.0/24" }))).toEqual([message]);
  });
});
