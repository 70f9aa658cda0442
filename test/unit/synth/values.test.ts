import fc from "fast-check";
import { formatProperty } from "../../../lib/synth/finding";
import {
  contains,
  formatCidr,
  networkOf,
  overlaps,
  parseCidr,
  subnetAt,
  subnetCount,
} from "../../../lib/synth/cidr";
import { interfaceName } from "../../../lib/synth/names";

const cidr = (text: string) => {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new Error(`${text} is no CIDR`);
  return parsed;
};

describe("interfaceName", () => {
  test("joins its parts where they fit and hashes what does not", () => {
    expect(interfaceName("gre", "site2")).toBe("gre-site2");
    expect(interfaceName("gre", "frankfurt-1")).toBe("gre-frankfurt-1");
    expect(interfaceName("gre", "frankfurt-12")).toMatch(/^gre-fr-[0-9a-f]{8}$/);
  });

  test("is the same from release to release", () => {
    expect(interfaceName("gre", "a-very-long-site-name")).toBe("gre-a-e8bb1ec2");
    expect(interfaceName("gre", "zürich")).toBe("gre-z-deb0e8ec");
  });

  test("is always one that Linux takes, and differs when any part does", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.string({ unit: "grapheme" }), (a, b) => {
        const name = interfaceName("x", a);
        expect(name).toMatch(/^[A-Za-z0-9_.-]{1,15}$/);
        expect([".", ".."]).not.toContain(name);
        if (a !== b) expect(interfaceName("x", b)).not.toBe(name);
      }),
    );
  });
});

describe("subnets", () => {
  test.each([
    ["10.0.0.1/16", "10.0.0.0/16"],
    ["10.255.255.255/30", "10.255.255.252/30"],
    ["2001:db8::ffff/64", "2001:db8::/64"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["10.0.0.1", "10.0.0.1/32"],
  ])("the network of %s is %s", (text, network) => {
    const parsed = cidr(text);
    expect(formatCidr({ ...parsed, address: networkOf(parsed) })).toBe(network);
  });

  test.each([
    "",
    "10.0.0",
    "10.0.0.1/33",
    "10.0.0.1/",
    "10.0.0.1/8/8",
    "::1/129",
    "fe80::1%eth0",
    "010.0.0.1",
    "1/8",
    "$(x)/8",
  ])("%j is none", (text) => expect(parseCidr(text)).toBeUndefined());

  test("contain and overlap by their bits, never across families", () => {
    expect(contains(cidr("10.0.0.0/8"), cidr("10.9.9.9/32"))).toBe(true);
    expect(contains(cidr("10.9.9.9/32"), cidr("10.0.0.0/8"))).toBe(false);
    expect(overlaps(cidr("10.9.9.9/32"), cidr("10.0.0.0/8"))).toBe(true);
    expect(overlaps(cidr("10.0.0.0/25"), cidr("10.0.0.128/25"))).toBe(false);
    expect(overlaps(cidr("0.0.0.0/0"), cidr("::/0"))).toBe(false);
  });

  test("of a pool are counted and numbered without gaps", () => {
    const pool = cidr("192.168.1.0/24");
    expect(subnetCount(pool, 30)).toBe(64n);
    expect(subnetCount(pool, 23)).toBe(0n);
    expect(formatCidr(subnetAt(pool, 30, 0n))).toBe("192.168.1.0/30");
    expect(formatCidr(subnetAt(pool, 30, 63n))).toBe("192.168.1.252/30");
    expect(formatCidr(subnetAt(cidr("fd00::/64"), 127, 1n))).toBe("fd00::2/127");
  });
});

test("properties are written as a program would write them", () => {
  expect(formatProperty(["routes", 0, "via"])).toBe("routes[0].via");
  expect(formatProperty(["values", "net/ipv4/ip_forward"])).toBe('values["net/ipv4/ip_forward"]');
  expect(formatProperty([])).toBe("");
});
