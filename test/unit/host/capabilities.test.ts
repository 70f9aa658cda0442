import { missingTools, readCapabilities } from "../../../lib/host/capabilities";

const answer = (text: string, status = 0) => ({ status, stdout: Buffer.from(text), stderr: "" });

const debian = [
  answer("6.1.0-28-amd64\n"),
  answer("3d1219c7c4c5404aaa1f6d2a48adfda4\n"),
  answer("0\n"),
  answer("ip\ntc\nnft\nstat\n"),
  answer("ip utility, iproute2-6.1.0, libbpf 1.1.2\n"),
  answer("", 0),
];

test("the opening look is read", () => {
  expect(readCapabilities(debian)).toEqual({
    kernel: "6.1.0-28-amd64",
    machineId: "3d1219c7c4c5404aaa1f6d2a48adfda4",
    tools: new Set(["ip", "tc", "nft", "stat"]),
    iproute2: "6.1.0",
    systemd: true,
  });
});

test.each([
  ["ip utility, iproute2-ss200127", "200127"],
  ["ip utility, iproute2-5.10.0, libbpf 0.3.0", "5.10.0"],
])("%j is a version of iproute2", (text, version) => {
  expect(readCapabilities(debian.with(4, answer(text))).iproute2).toBe(version);
});

test("BusyBox's ip does not count", () => {
  const found = readCapabilities(debian.with(4, answer("ip: unrecognized option: V", 1)));
  expect(missingTools(["ip", "tc", "nft"], found)).toBe(
    "ip, tc missing on the host: install the package iproute2",
  );
});

test("a shell that is not root's is refused", () => {
  expect(() => readCapabilities(debian.with(2, answer("1000\n")))).toThrow(
    "runs as uid 1000: root is needed",
  );
});

test("missing programs are named with their packages, and present ones are not", () => {
  const found = readCapabilities(debian);
  expect(missingTools(["ip", "nft"], found)).toBeUndefined();
  expect(missingTools(["flock", "ethtool", "ip", "modprobe", "flock"], found)).toBe(
    "flock, ethtool, modprobe missing on the host: install the package util-linux, ethtool, kmod",
  );
});
