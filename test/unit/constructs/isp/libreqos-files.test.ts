import { readNetworkJson, renderNetworkJson } from "../../../../constructs/isp/libreqos/network-json";
import { parseIspConfigPy, renderIspConfigPy } from "../../../../constructs/isp/libreqos/isp-config-py";
import { parseLqosConf, renderLqosConf } from "../../../../constructs/isp/libreqos/lqos-conf";
import {
  LEGACY_SHAPED_DEVICE_COLUMNS,
  renderShapedDevices,
  SHAPED_DEVICE_COLUMNS,
} from "../../../../constructs/isp/libreqos/shaped-devices";
import { Subscribers } from "../../../../constructs/isp/subscribers";
import { TunnelAllocation } from "../../../../constructs/isp/tunnel-addresses";
import { fixture, messagesOf } from "./helpers";

const network = fixture("network.json");
const read = (csv: string) => Subscribers.fromShapedDevices(csv, network);

describe("ShapedDevices.csv", () => {
  it("has the documented columns", () => {
    expect(SHAPED_DEVICE_COLUMNS.join()).toBe(
      "Circuit ID,Circuit Name,Device ID,Device Name,Parent Node,Parent Node ID,Anchor Node ID,MAC,IPv4,IPv6,Download Min Mbps,Upload Min Mbps,Download Max Mbps,Upload Max Mbps,Comment",
    );
    expect(LEGACY_SHAPED_DEVICE_COLUMNS.join()).toBe(
      "Circuit ID,Circuit Name,Device ID,Device Name,Parent Node,MAC,IPv4,IPv6,Download Min Mbps,Upload Min Mbps,Download Max Mbps,Upload Max Mbps,Comment",
    );
  });

  it.each([
    ["ShapedDevices.15.csv", 15],
    ["ShapedDevices.13.csv", 13],
  ] as const)("of %s comes back byte for byte", (file, columns) => {
    const text = fixture(file);
    expect(renderShapedDevices(read(text).all, { columns })).toBe(text);
  });

  it("makes one subscriber of the rows of a circuit", () => {
    const circuit = read(fixture("ShapedDevices.15.csv")).get("2794");
    expect(circuit?.devices.map(({ id, ipv4 }) => [id, ipv4])).toEqual([
      ["5", ["100.64.0.5"]],
      ["6", ["100.64.0.6"]],
    ]);
    expect(circuit).toMatchObject({
      parent: "AP_11",
      parentId: "ap:11",
      anchorId: "site_2794",
      plan: { downloadMin: 0.5 },
    });
  });

  it("may have rows of 13 fields below a header of 15, as LibreQoS' own example", () => {
    const [, ...rows] = fixture("ShapedDevices.13.csv").split("\n");
    const mixed = [SHAPED_DEVICE_COLUMNS.join(), ...rows].join("\n");
    expect(read(mixed).all).toEqual(read(fixture("ShapedDevices.13.csv")).all);
  });

  it("may have an sqm column, for both directions or each", () => {
    const csv = `${LEGACY_SHAPED_DEVICE_COLUMNS.join()},sqm\n1,a,1,a,,,10.0.0.1,,1,1,2,2,,CAKE/\n2,b,2,b,,,10.0.0.2,,1,1,2,2,,fq_codel\n`;
    const subscribers = read(csv);
    expect(subscribers.all.map(({ plan }) => plan.leaf)).toEqual([{ download: "cake" }, "fq_codel"]);
    expect(renderShapedDevices(subscribers.all, { columns: 13 })).toBe(csv.replace("CAKE/", "cake/"));
  });

  it("gives a plan above its access point what the access point has, as LibreQoS does", () => {
    expect(
      read(`${LEGACY_SHAPED_DEVICE_COLUMNS.join()}\n1,a,1,a,AP_11,,10.0.0.1,,1,1,105,20,\n`).overcommit,
    ).toBe("cap");
  });

  const row = (over: Partial<Record<string, string>> = {}) => {
    const cells: Record<string, string> = {
      "Circuit ID": "1",
      "Circuit Name": "a",
      "Device ID": "1",
      "Device Name": "a",
      IPv4: "10.0.0.1",
      "Download Min Mbps": "1",
      "Upload Min Mbps": "1",
      "Download Max Mbps": "2",
      "Upload Max Mbps": "2",
    };
    return SHAPED_DEVICE_COLUMNS.map((column) => over[column] ?? cells[column] ?? "").join();
  };
  const file = (...rows: string[]) => `${SHAPED_DEVICE_COLUMNS.join()}\n${rows.join("\n")}\n`;

  it.each<[string, string, string[]]>([
    [
      "a missing column",
      `${SHAPED_DEVICE_COLUMNS.filter((c) => c !== "IPv6").join()}\n`,
      ["1 | IPv6 | the column is missing"],
    ],
    [
      "an unknown column",
      `${SHAPED_DEVICE_COLUMNS.join()},Colour\n`,
      ["1 | Colour | ShapedDevices.csv has no such column"],
    ],
    [
      "columns in another order",
      `${SHAPED_DEVICE_COLUMNS.join().replace("IPv4,IPv6", "IPv6,IPv4")}\n`,
      ["1 | IPv6 | stands where IPv4 belongs; LibreQoS 1.4 reads the columns by their place"],
    ],
    [
      "a row of 14 fields",
      file("1,a,1,a,,,,,10.0.0.1,,1,1,2,2"),
      ["2 | 14 fields where the header names 15: column Comment and what follows it are missing"],
    ],
    [
      "a rate that is none",
      file(row({ "Upload Max Mbps": "2M" })),
      ['2 | Upload Max Mbps | "2M" is not a rate in Mbit/s'],
    ],
    [
      "a rate of 0",
      file(row({ "Download Max Mbps": "0", "Download Min Mbps": "0" })),
      [
        "2 | Download Max Mbps | a rate of 0 lets nothing through; leave the subscriber out instead",
        "2 | Download Min Mbps | a rate of 0 lets nothing through; leave the subscriber out instead",
      ],
    ],
    [
      "a minimum above the maximum",
      file(row({ "Download Min Mbps": "3" })),
      ["2 | Download Min Mbps | a minimum of 3 Mbit/s is above the maximum of 2"],
    ],
    ["no address", file(row({ IPv4: "" })), ["2 | IPv4 | a device has at least one IPv4 or IPv6 address"]],
    ["no circuit", file(row({ "Circuit ID": "" })), ["2 | Circuit ID | a circuit id is needed"]],
    [
      "an address that two have",
      file(row(), row({ "Circuit ID": "2", "Device ID": "2" })),
      ['3 | IPv4 | 10.0.0.1 is subscriber "1"\'s already (row 2)'],
    ],
    [
      "an unknown parent",
      file(row({ "Parent Node": "AP_7" })),
      ['2 | Parent Node | no node is named "AP_7"'],
    ],
    [
      "rows of one circuit that differ",
      file(row(), row({ "Device ID": "2", IPv4: "10.0.0.2", "Download Max Mbps": "3" })),
      ['3 | Download Max Mbps | "3" here and "2" in row 2 of circuit "1"; LibreQoS takes the first'],
    ],
  ])("is refused for %s", (_, csv, messages) => {
    expect(messagesOf(() => read(csv))).toEqual(messages);
  });

  it("says that a parent needs a network.json when there is none", () => {
    expect(messagesOf(() => Subscribers.fromShapedDevices(file(row({ "Parent Node": "AP" }))))).toEqual([
      '2 | Parent Node | no node is named "AP"; no network tree is given (network.json)',
    ]);
  });

  it("shapes a subscriber of a tunnel by the tunnel's address, with a minimum of 1 as LibreQoS advises", () => {
    const { all } = Subscribers.of([{ id: "pi-2", plan: { downloadMax: 10, uploadMax: 0.5 } }]);
    const allocation = TunnelAllocation.of(all, { ipv4: "192.168.11.0/24" });
    expect(
      renderShapedDevices(all, { addressesOf: (one) => allocation.addressesOf(one) }).split("\n")[1],
    ).toBe("pi-2,pi-2,pi-2,pi-2,,,,,192.168.11.6,,1,0.5,10,0.5,");
  });

  it.each<
    [string, Parameters<typeof Subscribers.of>[0][number], Parameters<typeof renderShapedDevices>[1], string]
  >([
    [
      "latency",
      { id: "a", addresses: ["10.0.0.1"], plan: { downloadMax: 2, uploadMax: 2, latencyMs: 5 } },
      {},
      'subscriber "a" | LibreQoS adds no latency, jitter or loss; take them out of the plan or use the native shaper',
    ],
    [
      "no address",
      { id: "a", plan: { downloadMax: 2, uploadMax: 2 } },
      {},
      'subscriber "a" | device "a" has no address to be shaped by',
    ],
    [
      "decimals in the format of 1.4",
      { id: "a", addresses: ["10.0.0.1"], plan: { downloadMax: 2.5, uploadMax: 2 } },
      { columns: 13 },
      'subscriber "a" | LibreQoS 1.4 reads whole Mbit/s only',
    ],
    [
      "node ids in the format of 1.4",
      { id: "a", anchorId: "x", addresses: ["10.0.0.1"], plan: { downloadMax: 2, uploadMax: 2 } },
      { columns: 13 },
      'subscriber "a" | 13 columns have no room for node ids',
    ],
    [
      "a leaf without its column",
      { id: "a", addresses: ["10.0.0.1"], plan: { downloadMax: 2, uploadMax: 2, leaf: "cake" } },
      { sqm: false },
      'subscriber "a" | the plan names a leaf queue and the file has no sqm column',
    ],
  ])("is not written for a subscriber with %s", (_, subscriber, options, message) => {
    const { all } = Subscribers.of([subscriber]);
    expect(messagesOf(() => renderShapedDevices(all, options))).toEqual([message]);
  });
});

describe("network.json", () => {
  it("comes back byte for byte", () => {
    const { tree } = Subscribers.fromShapedDevices(`${SHAPED_DEVICE_COLUMNS.join()}\n`, network);
    expect(renderNetworkJson(tree.nodes)).toBe(network);
  });

  it("is {} for a flat network", () => {
    expect(renderNetworkJson([])).toBe("{}\n");
    expect(readNetworkJson("{}", "network.json")).toEqual({ candidates: [], findings: [] });
  });

  it("recognises the old mark of a virtual node", () => {
    const { candidates } = readNetworkJson(
      '{"a":{"downloadBandwidthMbps":1,"uploadBandwidthMbps":1,"type":"virtual"}}',
      "n",
    );
    expect(candidates[0]?.props.virtual).toBe(true);
  });

  it.each<[string, string, string[]]>([
    ["no JSON", "{", [expect.stringMatching(/^not JSON: /) as string]],
    ["a list", "[]", [" | [] where an object of nodes belongs"]],
    ["a node that is a number", '{"a":1}', ["a | 1 where a node belongs"]],
    [
      "a rate that is missing",
      '{"a":{"downloadBandwidthMbps":1}}',
      ["a.uploadBandwidthMbps | a rate in Mbit/s is needed"],
    ],
    [
      "a name that is there twice",
      '{"a":{"downloadBandwidthMbps":1,"uploadBandwidthMbps":1,"children":{"a":{"downloadBandwidthMbps":1,"uploadBandwidthMbps":1}}}}',
      ['a.a | a second node is named "a"'],
    ],
    [
      "a tree without end",
      `${'{"a":{"downloadBandwidthMbps":1,"uploadBandwidthMbps":1,"children":'.repeat(70)}{}${"}}".repeat(70)}`,
      [expect.stringMatching(/nodes more than 64 deep$/) as string],
    ],
  ])("is refused for %s", (_, json, messages) => {
    const found = messagesOf(() => Subscribers.fromShapedDevices(`${SHAPED_DEVICE_COLUMNS.join()}\n`, json));
    expect(found.slice(0, messages.length)).toEqual(messages);
  });

  it("does not take a node's name for a key of its own", () => {
    expect(messagesOf(() => renderNetworkJson([{ name: "children", download: 1, upload: 1 }]))).toEqual([
      'network node "children" | LibreQoS uses the name for itself; rename the node',
    ]);
  });
});

describe("/etc/lqos.conf", () => {
  it.each(["lqos.bridge.conf", "lqos.stick.conf"])("of %s comes back byte for byte", (file) => {
    const text = fixture(file);
    const { config, rest } = parseLqosConf(text);
    expect(renderLqosConf(config, rest)).toBe(text);
    expect(config).toMatchSnapshot();
  });

  it("keeps what an operator's own file says besides", () => {
    const { config, rest } = parseLqosConf(fixture("lqos.handwritten.conf"));
    expect(config).toMatchObject({
      path: { mode: "bridge", bridge: "xdp", toInternet: "enp1s0f1", toNetwork: "enp1s0f2" },
      uplink: { download: 2000, upload: 1000 },
      queueMode: "observe",
      refreshMinutes: 15,
      tuning: { stopIrqBalance: false, disableOffload: ["gso", "tso"] },
    });
    const written = renderLqosConf({ ...config, refreshMinutes: 10 }, rest);
    for (const line of [
      "packet_capture_time = 20",
      "disable_webserver = true",
      "fast_queues_fq_codel = 500.5",
      'license_key = "not-a-real-key"',
      "circuit_name_as_address = true",
      "[treeguard.cpu]",
      "queue_refresh_interval_mins = 10",
    ]) {
      expect(written).toContain(line);
    }
    expect(parseLqosConf(written)).toMatchObject({ config: { ...config, refreshMinutes: 10 } });
    expect(renderLqosConf({ ...config, refreshMinutes: 10 }, parseLqosConf(written).rest)).toBe(written);
  });

  it.each<[string, (text: string) => string, string[]]>([
    ["another version", (t) => t.replace('"1.5"', '"2.7"'), ['version | is "2.7"; this reads "1.5"']],
    [
      "no version (1.4)",
      (t) => t.replace(/version = .*/, ""),
      ['version | is missing; this reads version "1.5"'],
    ],
    [
      "both ways through",
      (t) => `${t}[single_interface]\ninterface = "a"\ninternet_vlan = 2\nnetwork_vlan = 3\n`,
      ["bridge | and single_interface are both there; LibreQoS takes one of them"],
    ],
    [
      "no way through",
      (t) => t.replace("[bridge]", "[bridged]"),
      [
        "bridge | or single_interface is missing",
        "bridge.use_xdp_bridge | is missing",
        "bridge.to_internet | is missing",
        "bridge.to_network | is missing",
      ],
    ],
    [
      "a word for a number",
      (t) => t.replace("uplink_bandwidth_mbps = 1000\ndown", 'uplink_bandwidth_mbps = "fast"\ndown'),
      ["queues.uplink_bandwidth_mbps | is not a whole number"],
    ],
    [
      "an unknown queue mode",
      (t) => t.replace('"shape"', '"police"'),
      ['queues.queue_mode | is "police"; shape or observe'],
    ],
    [
      "a section that is none",
      (t) => t.replace(/\[ip_ranges\]\n.*\n.*\n/, "").replace("version", "ip_ranges = 3\nversion"),
      ["ip_ranges | is not a section"],
    ],
  ])("is refused for %s", (_, change, messages) => {
    expect(messagesOf(() => parseLqosConf(change(fixture("lqos.bridge.conf"))))).toEqual(messages);
  });

  it("that is no TOML is refused with the row, without quoting the file", () => {
    const [message = ""] = messagesOf(() => parseLqosConf('version = "1.5"\nlicense_key = "secret\n'));
    expect(message).toMatch(/^2 \| Invalid TOML document/);
    expect(message).not.toContain("secret");
  });
});

describe("ispConfig.py", () => {
  it.each(["ispConfig.bridge.py", "ispConfig.stick.py"])("of %s comes back byte for byte", (file) => {
    const text = fixture(file);
    const { config, rest, skipped } = parseIspConfigPy(text);
    expect(skipped).toEqual([]);
    expect(renderIspConfigPy(config, rest)).toBe(text);
    expect(config).toMatchSnapshot();
  });

  it("of an operator is read without being run", () => {
    const { config, rest, skipped } = parseIspConfigPy(fixture("ispConfig.handwritten.py"), "xdp");
    expect(config).toEqual({
      path: { mode: "bridge", bridge: "xdp", toInternet: "veth4", toNetwork: "veth2" },
      uplink: { download: 1000, upload: 500 },
      generatedParent: { download: 1000, upload: 500 },
      sqm: "cake diffserv4",
      queueMode: "shape",
      binPacking: false,
      dryRun: false,
      sudo: false,
      allowSubnets: ["192.168.0.0/16", "100.64.0.0/10"],
      ignoreSubnets: [],
      refreshMinutes: 30,
    });
    expect(rest).toEqual({
      airMax_capacity: { float: 0.65 },
      exceptionCPEs: {
        dict: [
          ["CPE-1", "AP-1"],
          ["CPE-2", { tuple: ["AP", 2] }],
        ],
      },
      apiPassword: "not-a-real\none",
    });
    expect(skipped.map(({ row, name }) => [row, name])).toEqual([
      [2, undefined],
      [22, "uispAuthToken"],
      [23, undefined],
      [24, undefined],
    ]);
    expect(parseIspConfigPy(renderIspConfigPy(config, rest), "xdp")).toMatchObject({ config, rest });
  });

  it.each<[string, (text: string) => string, string[]]>([
    [
      "a setting that is computed",
      (t) => t.replace("interfaceA = 'veth2'", "interfaceA = open('/etc/iface').read()"),
      ["7 | interfaceA | is not a plain value; the file is read, not run"],
    ],
    ["a setting that is missing", (t) => t.replace(/interfaceA.*\n/, ""), ["interfaceA | is missing"]],
    [
      "a number that is a string",
      (t) => t.replace("DownloadMbps = 1000", "DownloadMbps = '1000'"),
      ["3 | upstreamBandwidthCapacityDownloadMbps | is not a whole number"],
    ],
    [
      "an f-string",
      (t) => t.replace("'veth2'", "f'veth{2}'"),
      ["7 | interfaceA | is not a plain value; the file is read, not run"],
    ],
    [
      "a list of numbers",
      (t) => t.replace("ignoreSubnets = []", "ignoreSubnets = [1]"),
      ["17 | ignoreSubnets | is not a list of strings"],
    ],
  ])("is refused for %s", (_, change, messages) => {
    expect(messagesOf(() => parseIspConfigPy(change(fixture("ispConfig.bridge.py"))))).toEqual(messages);
  });
});
