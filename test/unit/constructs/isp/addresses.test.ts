import { isIPv6 } from "node:net";
import fc from "fast-check";
import ipaddr from "ipaddr.js";
import { formatIpv6, hasHostBits, parseIpv6 } from "../../../../constructs/isp/ipv6";
import { readAddress } from "../../../../constructs/isp/values";

const groups = fc.array(fc.oneof(fc.constant(0), fc.nat(0xffff)), { minLength: 8, maxLength: 8 });

describe("An IPv6 address", () => {
  it("is printed and read as the general library does", () => {
    fc.assert(
      fc.property(groups, (parts) => {
        const text = formatIpv6(parts);
        expect(text).toBe(new ipaddr.IPv6([...parts]).toRFC5952String());
        expect(parseIpv6(text)).toEqual(parts);
        expect(parseIpv6(new ipaddr.IPv6([...parts]).toNormalizedString().toUpperCase())).toEqual(parts);
      }),
    );
  });

  it("is recognised exactly when Node recognises it", () => {
    const piece = fc.constantFrom(
      "0",
      "1",
      "ffff",
      "12345",
      "g",
      "",
      ":",
      "::",
      ".",
      "1.2.3.4",
      "256.1.1.1",
      "%e",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 9 }), fc.constantFrom(":", ""), (pieces, between) => {
        const text = pieces.join(between);
        fc.pre(!text.includes("%"));
        const known = isIPv6(text);
        expect(parseIpv6(text) !== undefined).toBe(known);
      }),
      { numRuns: 2_000 },
    );
  });

  it("has host bits exactly when masking changes it", () => {
    fc.assert(
      fc.property(groups, fc.nat(128), (parts, prefix) => {
        const address = new ipaddr.IPv6([...parts]);
        const network = ipaddr.IPv6.networkAddressFromCIDR(`${address.toString()}/${prefix}`);
        expect(hasHostBits(parts, prefix)).toBe(
          network.toNormalizedString() !== address.toNormalizedString(),
        );
      }),
    );
  });
});

it.each<[string, 4 | 6 | undefined, object]>([
  ["10.0.0.1", 4, { address: "10.0.0.1" }],
  ["10.0.0.0/8", 4, { address: "10.0.0.0/8" }],
  ["10.0.0.1/32", 4, { address: "10.0.0.1" }],
  ["10.0.0.1/33", 4, { problem: '"10.0.0.1/33" is not an IPv4 address or prefix' }],
  ["010.0.0.1", 4, { problem: '"010.0.0.1" is not an IPv4 address or prefix' }],
  ["10.0.0.1/", 4, { problem: '"10.0.0.1/" is not an IPv4 address or prefix' }],
  ["10.0.0.0/8/8", 4, { problem: '"10.0.0.0/8/8" is not an IPv4 address or prefix' }],
  ["10.1", 4, { problem: '"10.1" is not an IPv4 address or prefix' }],
  ["10.0.0.1", 6, { problem: "10.0.0.1 is an IPv4 address where IPv6 is wanted" }],
  ["2001:db8::", 4, { problem: "2001:db8:: is an IPv6 address where IPv4 is wanted" }],
  ["2001:DB8::/32", 6, { address: "2001:db8::/32" }],
  [
    "2001:db8::1/64",
    6,
    { problem: "2001:db8::1/64 has bits set beyond its prefix; 2001:db8::/64 is the prefix" },
  ],
  ["fe80::1%eth0", 6, { problem: '"fe80::1%eth0" is not an IPv6 address or prefix' }],
  ["x", undefined, { problem: '"x" is not an IP address or prefix' }],
])("The address %s of family %s reads as %j", (text, family, reading) => {
  expect(readAddress(text, family)).toEqual(reading);
});
