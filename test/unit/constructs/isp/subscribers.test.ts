import { Subscribers } from "../../../../constructs/isp/subscribers";
import { SubscribersError } from "../../../../constructs/isp/findings";
import { renderSubscribersCsv } from "../../../../constructs/isp/subscribers-csv";
import type { NetworkNode, SubscriberProps } from "../../../../constructs/isp/model";
import { firstInvalidUtf8 } from "../../../../constructs/isp/utf8";
import { cpuTimeOf, findingsOf, fixture, messagesOf } from "./helpers";

const network: NetworkNode[] = [
  { name: "tower", type: "Site", download: 100, upload: 50 },
  { name: "ap-east", type: "AP", parent: "tower", download: 60, upload: 30 },
];
const plan = { downloadMax: 10, uploadMax: 5 };
const one = (over: Partial<SubscriberProps> = {}): SubscriberProps => ({ id: "pi-1", plan, ...over });

describe("Subscribers written in a program", () => {
  it("are filled in, put into canonical form and sorted by id", () => {
    const subscribers = Subscribers.of(
      [
        one({ id: "b", addresses: ["2001:DB8:0::1", "192.0.2.0/29", "192.0.2.9/32"], parent: "ap-east" }),
        one({ id: "a", client: { address: "2001:DB8::7" } }),
      ],
      { network },
    );
    expect(subscribers.all.map(({ id }) => id)).toEqual(["a", "b"]);
    expect(subscribers.get("b")?.devices).toEqual([
      {
        id: "b",
        name: "b",
        mac: "",
        ipv4: ["192.0.2.0/29", "192.0.2.9"],
        ipv6: ["2001:db8::1"],
        comment: "",
      },
    ]);
    expect(subscribers.get("a")?.client).toEqual({ address: "2001:db8::7", fou: false });
  });

  it("may come in any order", () => {
    const some = [one({ id: "x" }), one({ id: "y" }), one({ id: "z" })];
    expect(Subscribers.of(some).all).toEqual(Subscribers.of([...some].reverse()).all);
  });

  it.each<[string, SubscriberProps[], string]>([
    [
      "an id that is there twice",
      [one(), one()],
      'subscribers[1].id | the id "pi-1" is given twice already (subscribers[0].id)',
    ],
    ["an empty id", [one({ id: "" })], "subscribers[0].id | an id is needed"],
    [
      "an id with a #",
      [one({ id: "a#b" })],
      'subscribers[0].id | "a#b" holds a #, which begins a comment in LibreQoS\' files',
    ],
    [
      "an id with a line break",
      [one({ id: "a\nb" })],
      'subscribers[0].id | "a\\nb" holds a control character',
    ],
    [
      "an address of two subscribers",
      [one({ addresses: ["192.0.2.1"] }), one({ id: "b", addresses: ["192.0.2.1/32"] })],
      'subscribers[1].addresses | 192.0.2.1 is subscriber "pi-1"\'s already (subscribers[0].addresses)',
    ],
    [
      "an address that is none",
      [one({ addresses: ["192.0.2.256"] })],
      'subscribers[0].addresses | "192.0.2.256" is not an IPv4 address or prefix',
    ],
    [
      "a prefix with host bits",
      [one({ addresses: ["192.0.2.1/29"] })],
      "subscribers[0].addresses | 192.0.2.1/29 has bits set beyond its prefix; 192.0.2.0/29 is the prefix",
    ],
    [
      "a rate of 0",
      [one({ plan: { downloadMax: 0, uploadMax: 1 } })],
      "subscribers[0].plan.downloadMax | a rate of 0 lets nothing through; leave the subscriber out instead",
    ],
    [
      "a rate that is no number",
      [one({ plan: { downloadMax: NaN, uploadMax: 1 } })],
      "subscribers[0].plan.downloadMax | Invalid input: expected number, received NaN",
    ],
    [
      "a negative rate",
      [one({ plan: { downloadMax: 1, uploadMax: -1 } })],
      "subscribers[0].plan.uploadMax | -1 is no rate: Mbit/s from 0.01 to 100000",
    ],
    [
      "a minimum above the maximum",
      [one({ plan: { ...plan, uploadMin: 6 } })],
      "subscribers[0].plan.uploadMin | a minimum of 6 Mbit/s is above the maximum of 5",
    ],
    [
      "a jitter above the latency",
      [one({ plan: { ...plan, latencyMs: 1, jitterMs: 2 } })],
      "subscribers[0].plan.jitterMs | a jitter of 2 ms is more than the latency of 1 ms",
    ],
    [
      "a loss above 100 %",
      [one({ plan: { ...plan, lossPercent: 101 } })],
      "subscribers[0].plan.lossPercent | 101 is not from 0 to 100 %",
    ],
    [
      "a parent that is not there",
      [one({ parent: "ap-west" })],
      'subscribers[0].parent | no node is named "ap-west"',
    ],
    [
      "a plan above its access point",
      [one({ parent: "ap-east", plan: { downloadMax: 61, uploadMax: 5 } })],
      'subscribers[0].plan.downloadMax | 61 Mbit/s is above the 60 download of "ap-east", the node above',
    ],
    [
      "a line number of two subscribers",
      [one({ number: 3 }), one({ id: "b", number: 3 })],
      'subscribers[1].number | number 3 is subscriber "pi-1"\'s already (subscribers[0].number)',
    ],
    [
      "a line number out of range",
      [one({ number: 61_440 })],
      "subscribers[0].number | 61440 is not a whole number from 1 to 61439",
    ],
    [
      "two tunnels to one address",
      [one({ client: { address: "192.0.2.1" } }), one({ id: "b", client: { address: "192.0.2.1" } })],
      'subscribers[1].client.address | a tunnel to 192.0.2.1 without a key is subscriber "pi-1"\'s already (subscribers[0].client.address)',
    ],
    [
      "a client that cannot be reached",
      [one({ client: { key: 1 } })],
      "subscribers[0].client.address | a client has an address, or is behind a NAT with fou",
    ],
    [
      "a client that is a prefix",
      [one({ client: { address: "192.0.2.0/24" } })],
      "subscribers[0].client.address | 192.0.2.0/24 is a prefix; a client has one address",
    ],
    [
      "a misspelt property",
      [{ ...one(), plna: 1 } as SubscriberProps],
      'subscribers[0] | Unrecognized key: "plna"',
    ],
    [
      "a device that is there twice",
      [one({ devices: [{ id: "d" }, { id: "d" }] })],
      'subscribers[0].devices[1].id | device "d" is given twice already (subscribers[0].devices[0].id)',
    ],
  ])("are refused for %s", (_, subscribers, message) => {
    expect(messagesOf(() => Subscribers.of(subscribers, { network }))).toEqual([message]);
  });

  it("may share a public address under different keys", () => {
    const client = { address: "192.0.2.1" };
    const pair = [one({ client: { ...client, key: 1 } }), one({ id: "b", client: { ...client, key: 2 } })];
    expect(Subscribers.of(pair).size).toBe(2);
  });

  it("are refused when the minimums below a node add up to more than it carries", () => {
    const many = ["a", "b", "c", "d"].map((id) =>
      one({ id, parent: "ap-east", plan: { ...plan, uploadMax: 10, uploadMin: 10 } }),
    );
    expect(messagesOf(() => Subscribers.of(many, { network }))).toEqual([
      'the upload minimums below node "ap-east" add up to 40 Mbit/s and it carries 30; lower them',
    ]);
  });

  it("may promise more than a node carries where that is asked for", () => {
    const subscriber = one({
      parent: "ap-east",
      plan: { downloadMax: 1000, uploadMax: 1000, downloadMin: 100 },
    });
    expect(Subscribers.of([subscriber], { network, overcommit: "cap" }).size).toBe(1);
  });

  it("are reported all at once, at most twenty in the message", () => {
    const bad = Array.from({ length: 30 }, (_, i) =>
      one({ id: `s${i}`, plan: { downloadMax: 0, uploadMax: 1 } }),
    );
    expect(() => Subscribers.of(bad)).toThrow(SubscribersError);
    expect(findingsOf(() => Subscribers.of(bad))).toHaveLength(30);
    expect(() => Subscribers.of(bad)).toThrow(/^30 things are wrong[^]*… and 10 more$/);
  });

  it("leave no stack trace for a mistake of the user", () => {
    const error = (() => {
      try {
        return Subscribers.of([one({ id: "" })]);
      } catch (caught) {
        return caught as Error;
      }
    })();
    expect((error as Error).stack).not.toMatch(/\.ts:/);
  });
});

describe("The access network", () => {
  const node = (name: string, over: Partial<NetworkNode> = {}): NetworkNode => ({
    name,
    download: 10,
    upload: 10,
    ...over,
  });

  it.each<[string, NetworkNode[], string[]]>([
    ["a name that is there twice", [node("a"), node("a")], ['network[1].name | a second node is named "a"']],
    ["an unknown parent", [node("a", { parent: "b" })], ['network[0].parent | no node is named "b"']],
    [
      "a node above itself",
      [node("a", { parent: "a" })],
      ["network[0].parent | nodes are above each other: a → a"],
    ],
    [
      "a cycle of three, said once",
      [
        node("a", { parent: "b" }),
        node("b", { parent: "c" }),
        node("c", { parent: "a" }),
        node("d", { parent: "a" }),
      ],
      ["network[0].parent | nodes are above each other: a → b → c → a"],
    ],
    [
      "two cycles",
      [node("a", { parent: "a" }), node("b", { parent: "b" })],
      [
        "network[0].parent | nodes are above each other: a → a",
        "network[1].parent | nodes are above each other: b → b",
      ],
    ],
    [
      "a rate of 0",
      [node("a", { upload: 0 })],
      ["network[0].upload | a rate of 0 lets nothing through; leave the subscriber out instead"],
    ],
    [
      "a rate above the parent's",
      [node("a"), node("b", { parent: "a", download: 11 })],
      ['network[1].download | 11 Mbit/s download is above the 10 of "a", the node above'],
    ],
  ])("is refused for %s", (_, nodes, messages) => {
    expect(messagesOf(() => Subscribers.of([], { network: nodes }))).toEqual(messages);
  });

  it("compares a node with the nearest one above that has a rate", () => {
    const nodes = [
      node("a"),
      node("v", { parent: "a", virtual: true, download: 1 }),
      node("b", { parent: "v" }),
    ];
    expect(Subscribers.of([], { network: nodes }).tree.shapingNode("v")?.name).toBe("a");
  });

  it("has six levels at most, as many as HTB has room for", () => {
    const deep = (levels: number) =>
      Array.from({ length: levels }, (_, i) => node(`n${i}`, i === 0 ? {} : { parent: `n${i - 1}` }));
    expect(Subscribers.of([], { network: deep(6) }).network).toHaveLength(6);
    expect(messagesOf(() => Subscribers.of([], { network: deep(7) }))).toEqual([
      "network[6].parent | 7 nodes deep; HTB has room for 6 between the uplink and a subscriber",
    ]);
  });
});

describe("subscribers.csv", () => {
  const text = fixture("subscribers.csv");
  const tree = [{ name: "ap-east", download: 100, upload: 100 }];
  const read = (csv: string) => Subscribers.parse(csv, "subscribers.csv", { network: tree });

  it("is read with every column", () => {
    const subscribers = read(text);
    expect(subscribers.all).toMatchInlineSnapshot(`
      [
        {
          "client": {
            "address": "203.0.113.21",
            "fou": false,
            "key": 1,
          },
          "devices": [
            {
              "comment": "",
              "id": "pi-1",
              "ipv4": [],
              "ipv6": [],
              "mac": "dc:a6:32:00:00:01",
              "name": "pi-1",
            },
          ],
          "id": "pi-1",
          "name": "pi-1",
          "parent": "ap-east",
          "plan": {
            "downloadMax": 10,
            "uploadMax": 10,
          },
        },
        {
          "client": {
            "address": "203.0.113.22",
            "fou": false,
          },
          "devices": [
            {
              "comment": "on the roof",
              "id": "pi-2",
              "ipv4": [
                "192.0.2.8",
                "198.51.100.0/29",
              ],
              "ipv6": [
                "2001:db8:2::/56",
              ],
              "mac": "",
              "name": "Pi, second",
            },
          ],
          "id": "pi-2",
          "name": "Pi, second",
          "number": 7,
          "parent": "ap-east",
          "plan": {
            "downloadMax": 10,
            "jitterMs": 5,
            "latencyMs": 20,
            "leaf": {
              "download": "cake",
              "upload": "fq_codel",
            },
            "lossPercent": 0.5,
            "uploadMax": 10,
          },
        },
        {
          "client": {
            "fou": true,
            "key": 9,
          },
          "devices": [
            {
              "comment": "",
              "id": "shop",
              "ipv4": [
                "192.0.2.9",
              ],
              "ipv6": [],
              "mac": "",
              "name": "Corner shop",
            },
          ],
          "id": "shop",
          "name": "Corner shop",
          "plan": {
            "downloadMax": 50.5,
            "downloadMin": 5,
            "leaf": "fq_codel",
            "uploadMax": 20,
          },
        },
      ]
    `);
  });

  it("comes back the same after it was written", () => {
    const subscribers = read(text);
    const written = renderSubscribersCsv(subscribers.all);
    expect(read(written).all).toEqual(subscribers.all);
    expect(renderSubscribersCsv(read(written).all)).toBe(written);
  });

  it("is read from the file that is named, with its network.json", () => {
    const files: Record<string, string> = {
      "s.csv": "id,download_max_mbps,upload_max_mbps,parent\n7,1,1,AP_11\n",
      "network.json": fixture("network.json"),
    };
    const subscribers = Subscribers.fromCsv("s.csv", {
      networkJson: "network.json",
      read: (path) => Buffer.from(files[path] ?? ""),
    });
    expect(subscribers.tree.chain("AP_11").map(({ name }) => name)).toEqual(["AP_11", "Town", "Site_1"]);
  });

  it("that is not there is said to be not there", () => {
    expect(findingsOf(() => Subscribers.fromCsv("/nonexistent/s.csv"))).toEqual([
      { source: "/nonexistent/s.csv", message: "no such file" },
    ]);
  });

  it.each<[string, string, string[]]>([
    [
      "a column that is unknown",
      "id,download_max_mbps,upload_max_mbps,colour\n",
      [
        "1 | colour | no such column; there are id, name, number, parent, download_max_mbps, upload_max_mbps, download_min_mbps, upload_min_mbps, latency_ms, jitter_ms, loss_percent, leaf, client_address, client_key, client_fou, ipv4, ipv6, mac, comment",
      ],
    ],
    [
      "columns that are missing",
      "id,download_max_mbps\n",
      ["1 | upload_max_mbps | the column is missing and is needed"],
    ],
    [
      "a column that is there twice",
      "id,id,download_max_mbps,upload_max_mbps\n",
      ["1 | id | the column is there twice"],
    ],
    [
      "a header of neither format",
      "a;b;c\n",
      [
        '1 | the header "a;b;c" is of neither format: subscribers.csv begins with at least id,download_max_mbps,upload_max_mbps, ShapedDevices.csv with Circuit ID,Circuit Name,Device ID,…',
      ],
    ],
    ["a file without anything", "\n# nothing\n", ["the file is empty; its first line names the columns"]],
    [
      "a row that is too short",
      "id,download_max_mbps,upload_max_mbps\na,1,1\nb,1\n",
      ["3 | 2 fields where the header names 3: column upload_max_mbps and what follows it are missing"],
    ],
    [
      "a comma without quotes",
      "id,download_max_mbps,upload_max_mbps,comment\na,1,1,x,y\n",
      [
        '2 | 5 fields where the header names 4: the first one too many is "y"; put quotes around a field that holds a comma',
      ],
    ],
    [
      "a quote that is not closed",
      'id,download_max_mbps,upload_max_mbps\n"a,1,1\n',
      ["2 | not CSV: Quote Not Closed: the parsing is finished with an opening quote at line 2"],
    ],
    [
      "cells that are no numbers",
      "id,download_max_mbps,upload_max_mbps,client_fou\na,fast,,maybe\n",
      [
        '2 | download_max_mbps | "fast" is not a number',
        "2 | upload_max_mbps | a value is needed",
        '2 | client_fou | "maybe" is neither true nor false',
      ],
    ],
    [
      "hexadecimal numbers",
      "id,download_max_mbps,upload_max_mbps\na,0x10,1\n",
      ['2 | download_max_mbps | "0x10" is not a number'],
    ],
    [
      "an id that is there twice, below a comment",
      "id,download_max_mbps,upload_max_mbps\na,1,1\n# more\n\na,1,1\n",
      ['5 | id | the id "a" is given twice already (row 2)'],
    ],
    [
      "a leaf that is none",
      "id,download_max_mbps,upload_max_mbps,leaf\na,1,1,sfq\n",
      ['2 | leaf | "sfq" is none of cake, fq_codel, none, or DOWNLOAD/UPLOAD of these'],
    ],
    [
      "values that mean nothing, in the order of the rows",
      "id,download_max_mbps,upload_max_mbps,download_min_mbps\na,1,1,2\nb,0,1,\n",
      [
        "2 | download_min_mbps | a minimum of 2 Mbit/s is above the maximum of 1",
        "3 | download_max_mbps | a rate of 0 lets nothing through; leave the subscriber out instead",
      ],
    ],
  ])("is refused for %s", (_, csv, messages) => {
    expect(messagesOf(() => Subscribers.parse(csv))).toEqual(messages);
  });

  it("carries what would be a command elsewhere as plain text", () => {
    const evil = "$(reboot); `id` | tee /x && rm -rf /";
    const subscribers = Subscribers.parse(
      `id,download_max_mbps,upload_max_mbps,comment\n"${evil}",1,1,"${evil}"\n`,
    );
    expect(subscribers.get(evil)?.devices[0]?.comment).toBe(evil);
  });

  it.each<[string, number[], number, number]>([
    ["Latin-1", [0x69, 0x64, 0x0a, 0x4d, 0xfc, 0x6c], 4, 2],
    ["a sequence that is cut off", [0x61, 0xe2, 0x82], 1, 1],
    ["an overlong form", [0xc0, 0xaf], 0, 1],
    ["a surrogate", [0x61, 0xed, 0xa0, 0x80], 1, 1],
    ["a code point above the last", [0xf4, 0x90, 0x80, 0x80], 0, 1],
  ])("names the byte that is not UTF-8: %s", (_, bytes, offset, row) => {
    expect(firstInvalidUtf8(Uint8Array.from(bytes))).toBe(offset);
    const [finding] = findingsOf(() => Subscribers.fromCsv("s.csv", { read: () => Uint8Array.from(bytes) }));
    expect(finding).toMatchObject({
      source: "s.csv",
      row,
      message: expect.stringMatching(`^byte ${offset} `),
    });
  });

  it("recognises UTF-16 and takes a byte order mark away", () => {
    const utf16 = Buffer.from("\ufeffid,x\n", "utf16le");
    expect(messagesOf(() => Subscribers.fromCsv("s.csv", { read: () => utf16 }))[0]).toMatch(
      /like UTF-16; save it as UTF-8$/,
    );
    const bom = Buffer.from("\ufeffid,download_max_mbps,upload_max_mbps\r\na,1,1\r\n");
    expect(Subscribers.fromCsv("s.csv", { read: () => bom }).size).toBe(1);
  });
});

describe("A hundred thousand rows", () => {
  const rows = 100_000;
  const address = (i: number) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;

  it("are read and checked in well under a few seconds", () => {
    const lines = Array.from(
      { length: rows },
      (_, i) =>
        `c${i},ap,10,5,${address(i)},2001:db8:${(i >> 8).toString(16)}:${(i & 255).toString(16)}00::/56`,
    );
    const csv = Buffer.from(`id,parent,download_max_mbps,upload_max_mbps,ipv4,ipv6\n${lines.join("\n")}\n`);
    const tree = [{ name: "ap", download: 1000, upload: 1000 }];
    const time = cpuTimeOf(() => {
      expect(Subscribers.fromCsv("big.csv", { read: () => csv, network: tree }).size).toBe(rows);
    });
    expect(time).toBeLessThan(8_000);
  });

  it("are refused as quickly when every one of them is wrong", () => {
    const csv = `id,download_max_mbps,upload_max_mbps,ipv4\n${"a,0,1,192.0.2.1\n".repeat(rows)}`;
    const time = cpuTimeOf(() => {
      expect(findingsOf(() => Subscribers.parse(csv)).length).toBeGreaterThan(rows);
    });
    expect(time).toBeLessThan(8_000);
  });
});
