import fc from "fast-check";
import { PortBlocks } from "../../../../constructs/isp/port-blocks";
import type { PortBlockOptions } from "../../../../constructs/isp/port-blocks";
import { messagesOf } from "./helpers";

const options = fc.record({
  addresses: fc.constantFrom(["203.0.113.0/30"], ["198.51.100.7"], ["203.0.113.9", "198.51.100.0/29"]),
  portsPerSubscriber: fc.constantFrom(64, 500, 1024, 2048),
  firstPort: fc.constantFrom(1, 1024, 10_000),
});

describe("Port blocks", () => {
  it("follow from the number and lead back to it, port by port", () => {
    fc.assert(
      fc.property(options, fc.nat(), fc.nat(), (given, pick, offset) => {
        const blocks = new PortBlocks(given);
        const number = (pick % blocks.capacity) + 1;
        const { address, from, to } = blocks.blockOf(number);
        expect(to - from + 1).toBe(given.portsPerSubscriber);
        expect(from).toBeGreaterThanOrEqual(given.firstPort);
        expect(to).toBeLessThanOrEqual(65_535);
        expect(blocks.numberOf(address, from + (offset % given.portsPerSubscriber))).toBe(number);
      }),
    );
  });

  it("never share a port", () => {
    const blocks = new PortBlocks({ addresses: ["203.0.113.0/31"], portsPerSubscriber: 4000 });
    const seen = new Set<string>();
    for (let number = 1; number <= blocks.capacity; number += 1) {
      const { address, from, to } = blocks.blockOf(number);
      for (let port = from; port <= to; port += 1) seen.add(`${address}:${port}`);
    }
    expect(blocks.capacity).toBe(32);
    expect(seen.size).toBe(32 * 4000);
  });

  it("stay where they are when a public address is put at the end", () => {
    const few = new PortBlocks({ addresses: ["203.0.113.1"] });
    const more = new PortBlocks({ addresses: ["203.0.113.1", "203.0.113.2"] });
    for (let number = 1; number <= few.capacity; number += 1)
      expect(more.blockOf(number)).toEqual(few.blockOf(number));
  });

  it("are 63 of 1,024 ports an address by default, above the well-known ports", () => {
    const blocks = new PortBlocks({ addresses: ["203.0.113.1"] });
    expect(blocks.capacity).toBe(63);
    expect(blocks.blockOf(1)).toEqual({ address: "203.0.113.1", from: 1024, to: 2047 });
    expect(blocks.blockOf(63)).toEqual({ address: "203.0.113.1", from: 64_512, to: 65_535 });
    expect(() => blocks.blockOf(64)).toThrow("Number 64 is not from 1 to 63.");
    expect(blocks.limit.enough?.(100)).toBe("2 public addresses would do");
  });

  it("leave ports to nobody that belong to nobody", () => {
    const blocks = new PortBlocks({ addresses: ["203.0.113.1"], portsPerSubscriber: 40_000 });
    expect(blocks.numberOf("203.0.113.1", 1023)).toBeUndefined();
    expect(blocks.numberOf("203.0.113.1", 41_024)).toBeUndefined();
    expect(blocks.numberOf("203.0.113.2", 2000)).toBeUndefined();
  });

  it.each<[string, PortBlockOptions, string]>([
    [
      "an address that is none",
      { addresses: ["nat"] },
      'addresses[0] | "nat" is not an IPv4 address or prefix',
    ],
    [
      "an IPv6 address",
      { addresses: ["fd00::1"] },
      'addresses[0] | "fd00::1" is not an IPv4 address or prefix',
    ],
    [
      "an address that is there twice",
      { addresses: ["203.0.113.0/30", "203.0.113.2"] },
      "addresses | 203.0.113.2 is there twice",
    ],
    ["no address", { addresses: [] }, "addresses | a NAT has at least one public address"],
    [
      "a mistyped prefix",
      { addresses: ["10.0.0.0/8"] },
      "addresses[0] | 10.0.0.0/8 is more than 65536 addresses",
    ],
    [
      "too few ports",
      { addresses: ["203.0.113.1"], firstPort: 65_000 },
      "portsPerSubscriber | no block of 1024 ports fits into 65000-65535",
    ],
    [
      "half a port",
      { addresses: ["203.0.113.1"], portsPerSubscriber: 100.5 },
      "portsPerSubscriber | 100.5 is not a whole number from 64 to 64512",
    ],
  ])("are refused for %s", (_, given, message) => {
    expect(messagesOf(() => new PortBlocks(given))).toEqual([message]);
  });
});
