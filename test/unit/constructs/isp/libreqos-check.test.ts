import { allowShaped, checkLibreQoS } from "../../../../constructs/isp/libreqos/check";
import type { LibreQoSSurroundings } from "../../../../constructs/isp/libreqos/check";
import type { LibreQoSConfig } from "../../../../constructs/isp/libreqos/config";

const bridge = (over: Partial<LibreQoSConfig> = {}, kind: "linux" | "xdp" = "linux"): LibreQoSConfig => ({
  path: { mode: "bridge", bridge: kind, toInternet: "veth4", toNetwork: "veth2" },
  uplink: { download: 1000, upload: 1000 },
  ...over,
});
const stick = (internetVlan: number, networkVlan: number, name = "eno1"): LibreQoSConfig => ({
  path: { mode: "onAStick", interface: name, internetVlan, networkVlan },
  uplink: { download: 1000, upload: 1000 },
});
const check = (config: LibreQoSConfig, around?: LibreQoSSurroundings) =>
  checkLibreQoS(config, around).map(
    ({ severity, property, message }) => `${severity} ${property}: ${message}`,
  );

const joined = { name: "LibreBridge", ports: ["veth2", "veth4"] };

describe("LibreQoS' settings", () => {
  it("are fine as they should be", () => {
    expect(
      check(bridge(), { shaped: ["192.168.11.0/24"], queues: { veth2: 8, veth4: 8 }, bridges: [joined] }),
    ).toEqual([]);
    expect(check(bridge({}, "xdp"), { bridges: [] })).toEqual([]);
    expect(check(stick(22, 11), { queues: { eno1: 4 } })).toEqual([]);
  });

  it.each<[string, LibreQoSConfig, LibreQoSSurroundings, string[]]>([
    [
      "an XDP bridge beside a Linux bridge",
      bridge({}, "xdp"),
      { bridges: [joined] },
      [
        "error path.bridge: the Linux bridge LibreBridge joins veth4 and veth2, and so would LibreQoS' XDP bridge: every packet twice, and loops; use one of the two",
      ],
    ],
    [
      "no bridge at all",
      bridge(),
      { bridges: [{ name: "br0", ports: ["veth2"] }] },
      ["error path.bridge: no Linux bridge joins veth4 and veth2; without one nothing is forwarded"],
    ],
    [
      "an interface with one queue",
      bridge(),
      { queues: { veth2: 1 } },
      [
        "error path.toNetwork: veth2 has 1 transmit queue and LibreQoS refuses to start with fewer than 2; make it with numtxqueues and numrxqueues of 2 or more",
      ],
    ],
    [
      "fewer than two queues",
      bridge({ queues: 1 }),
      {},
      ["error queues: 1 is not a whole number of 2 or more; LibreQoS refuses to start with fewer queues"],
    ],
    [
      "the default of 1.4 that hides every tunnel",
      bridge({ ignoreSubnets: ["192.168.0.0/16"] }),
      { shaped: ["192.168.11.0/24"] },
      [
        "error ignoreSubnets: 192.168.0.0/16 hides 192.168.11.0/24, whose traffic is to be shaped; take it out",
      ],
    ],
    [
      "an ignored part of the pool",
      bridge({ ignoreSubnets: ["192.168.11.128/25"] }),
      { shaped: ["192.168.11.0/24"] },
      [
        "error ignoreSubnets: 192.168.11.128/25 hides 192.168.11.0/24, whose traffic is to be shaped; take it out",
      ],
    ],
    [
      "a pool that is not allowed",
      bridge(),
      { shaped: ["203.0.113.0/24"] },
      ["error allowSubnets: 203.0.113.0/24 is to be shaped and not allowed; add it"],
    ],
    [
      "a range without a length",
      bridge({ allowSubnets: ["10.0.0.0"] }),
      {},
      ['error allowSubnets[0]: "10.0.0.0" is no prefix such as 192.168.0.0/16'],
    ],
    [
      "one interface for both sides",
      bridge({ path: { mode: "bridge", bridge: "linux", toInternet: "a", toNetwork: "a" } }),
      {},
      ["error path.toNetwork: both sides are a; one interface needs mode onAStick"],
    ],
    [
      "an interface name that is none",
      stick(1, 2, "enp1s0f1np1.1234"),
      {},
      [
        'error path.interface: "enp1s0f1np1.1234" is no interface name: 1 to 15 characters without space, slash or colon',
      ],
    ],
    ["one VLAN for both sides", stick(11, 11), {}, ["error path.networkVlan: both sides are VLAN 11"]],
    [
      "a VLAN that is none",
      stick(0, 4095),
      {},
      [
        "error path.internetVlan: 0 is no VLAN id: 1 to 4094",
        "error path.networkVlan: 4095 is no VLAN id: 1 to 4094",
      ],
    ],
    [
      "a queue that would be a command",
      bridge({ sqm: "cake; reboot" }),
      {},
      ['error sqm: "cake; reboot" is not cake or fq_codel with plain options, such as "cake diffserv4"'],
    ],
    [
      "an uplink of decimals",
      bridge({ uplink: { download: 0.5, upload: 0.5 }, generatedParent: { download: 1, upload: 1 } }),
      {},
      [
        "error uplink.download: 0.5 is not a whole number of Mbit/s, 1 or more",
        "error uplink.upload: 0.5 is not a whole number of Mbit/s, 1 or more",
      ],
    ],
    [
      "an empty node id",
      bridge({ nodeId: " " }),
      {},
      ['error nodeId: " " is empty or holds a control character'],
    ],
  ])("are refused for %s", (_, config, around, messages) => {
    expect(check(config, around)).toEqual(messages);
  });

  it("warn that an uplink with two rates has only one in LibreQoS", () => {
    expect(check(bridge({ uplink: { download: 1000, upload: 100 } }))).toEqual([
      "warning uplink: LibreQoS 1.5 caps both directions at uplink_bandwidth_mbps (its scheduler reads that key for the download too), so 1000 Mbit/s download become 100",
    ]);
  });

  it("allow what is to be shaped, and only what is missing", () => {
    const shaped = ["192.168.11.0/24", "203.0.113.0/24", "203.0.113.0/24", "2001:db8::/32"];
    const config = allowShaped(bridge(), shaped);
    expect(config.allowSubnets).toEqual([
      "10.0.0.0/8",
      "100.64.0.0/10",
      "172.16.0.0/12",
      "192.168.0.0/16",
      "203.0.113.0/24",
      "2001:db8::/32",
    ]);
    expect(check(config, { shaped })).toEqual([]);
  });
});
