import type { z } from "zod";
import * as s from "../../../lib/kinds/schemas";

const message = (schema: z.ZodType, value: unknown) => {
  const parsed = schema.safeParse(value);
  return parsed.success ? undefined : parsed.error.issues.map((issue) => issue.message).join("; ");
};

/** Text that a shell, a batch file or a terminal would take for more than text. */
const hostile = [
  "; rm -rf /",
  "$(id)",
  "`id`",
  "a b",
  "a\nlink del lo",
  "a\0b",
  "|cat",
  "a'b",
  'a"b',
  "../x",
  "é",
];

describe("schemas of names", () => {
  test.each(["eth0", "a", "gre-site2", "eth0.100", "_x", "123456789012345"])(
    "%s names an interface",
    (name) => {
      expect(s.interfaceName.parse(name)).toBe(name);
    },
  );

  test("a name of 16 bytes is refused with its length and the kernel's", () => {
    expect(message(s.interfaceName, "abcdefghijklmnop")).toMatch(/has 16 bytes.*allows 15.*IFNAMSIZ/);
  });

  test("bytes are counted, not letters", () => {
    expect(message(s.interfaceName, "éééééééé")).toMatch(/has 16 bytes/);
  });

  test.each(["", ".", "..", "-x", "a/b", "a:1", ...hostile])(
    "%j names no interface, namespace or thing",
    (name) => {
      expect(message(s.interfaceName, name)).toBeDefined();
      expect(message(s.netnsName, name)).toBeDefined();
      expect(message(s.safeName, name)).toBeDefined();
    },
  );

  test("a control character is shown escaped", () => {
    expect(message(s.interfaceName, "a\nb")).toContain('"a\\nb"');
  });
});

describe("schemas of addresses", () => {
  test.each([
    ["2001:DB8::0:1", "2001:db8::1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"],
    ["::ffff:102:304", "::ffff:1.2.3.4"],
    ["::1.2.3.4", "::1.2.3.4"],
    ["::102:304", "::1.2.3.4"],
    ["64:ff9b::1.2.3.4", "64:ff9b::102:304"],
    ["::5", "::5"],
    ["::", "::"],
    ["10.0.0.1", "10.0.0.1"],
  ])("%s comes out as the kernel prints it", (given, printed) => {
    expect(s.ip.parse(given)).toBe(printed);
    expect(s.cidr.parse(`${given}/32`)).toBe(`${printed}/32`);
  });

  test.each([
    "10.0.0",
    "010.0.0.1",
    "0x7f.1",
    "10.0.0.256",
    "fe80::1%eth0",
    "10.0.0.1/8",
    "1::2::3",
    ...hostile,
  ])("%j is no address", (value) => expect(message(s.ip, value)).toMatch(/is not an IP address/));

  test("an address of the other family is named as such", () => {
    expect(message(s.ipv4, "::1")).toMatch(/is an IPv6 address, and an IPv4 address is wanted/);
    expect(message(s.ipv6, "10.0.0.1")).toMatch(/is an IPv4 address, and an IPv6 address is wanted/);
  });

  test("an address without a prefix length is told how to write it", () => {
    expect(message(s.cidr, "10.0.0.1")).toMatch(/write "10.0.0.1\/32"/);
    expect(message(s.cidr, "10.0.0.1/33")).toMatch(/0 to 32/);
    expect(message(s.cidr, "10.0.0.1/08")).toMatch(/0 to 32/);
    expect(message(s.cidr, "::1/129")).toMatch(/0 to 128/);
    expect(message(s.cidr, "x/1")).toMatch(/is not an address with a prefix length/);
  });

  test.each([
    ["10.1.2.3/16", "10.1.0.0/16"],
    ["10.1.2.3/9", "10.0.0.0/9"],
    ["10.1.2.3/0", "0.0.0.0/0"],
    ["2001:db8::1/33", "2001:db8::/33"],
  ])("the network of %s is said to be %s", (given, network) => {
    expect(message(s.prefix, given)).toContain(network);
    expect(s.prefix.parse(network)).toBe(network);
  });

  test("a MAC address is lower case, unicast and not zero", () => {
    expect(s.mac.parse("02:AB:00:00:00:01")).toBe("02:ab:00:00:00:01");
    expect(message(s.mac, "01:00:5e:00:00:01")).toMatch(/multicast/);
    expect(message(s.mac, "00:00:00:00:00:00")).toMatch(/all zero/);
    expect(message(s.mac, "2:0:0:0:0:1")).toMatch(/is not a MAC address/);
  });

  test("a list without an order is sorted, each item once", () => {
    expect(s.set(s.cidr).parse(["10.0.0.2/8", "2001:DB8::1/64", "10.0.0.1/8", "2001:db8:0::1/64"])).toEqual([
      "10.0.0.1/8",
      "10.0.0.2/8",
      "2001:db8::1/64",
    ]);
  });
});

describe("schemas of numbers", () => {
  test("the value never shows in the message, for it may be a key", () => {
    expect(message(s.u32, 4294967296)).toBe("must be a whole number from 0 to 4294967295");
    expect(message(s.u32, 73219.5)).toBe("must be a whole number from 0 to 4294967295");
    expect(message(s.u32, "73219")).toBe("must be a whole number from 0 to 4294967295");
    expect(message(s.u32, NaN)).toBe("must be a whole number from 0 to 4294967295");
  });

  test("ranges are those of the kernel", () => {
    expect(s.mtu.parse(68)).toBe(68);
    expect(message(s.mtu, 67)).toMatch(/68 to 65535/);
    expect(message(s.port, 0)).toMatch(/1 to 65535/);
    expect(s.u32.parse(4294967295)).toBe(4294967295);
  });
});

describe("schemas of kernel settings", () => {
  test("a dotted key becomes a path, a path keeps its dots", () => {
    expect(s.sysctlKey.parse("net.ipv4.ip_forward")).toBe("net/ipv4/ip_forward");
    expect(s.sysctlKey.parse("net/ipv4/conf/eth0.100/rp_filter")).toBe("net/ipv4/conf/eth0.100/rp_filter");
  });

  test.each(["", "x", "/net/ipv4/x", "net/../../etc/passwd", "net//x", "-n/x", ...hostile])(
    "%j is no key",
    (key) => {
      expect(message(s.sysctlKey, key)).toBeDefined();
    },
  );

  test("a value has one space between its parts and no line end", () => {
    expect(s.sysctlValue.parse("4096\t131072  6291456")).toBe("4096 131072 6291456");
    expect(message(s.sysctlValue, "1\n2")).toBeDefined();
    expect(message(s.sysctlValue, " ")).toBeDefined();
  });
});
