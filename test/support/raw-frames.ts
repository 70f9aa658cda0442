import { execa } from "execa";

/**
 * packet(7) with PACKET_VNET_HDR: the kernel keeps as much of a frame in one piece as the header asks for, and the rest
 * of a frame larger than a page in fragments.
 */
const sender = `
my ($ifindex, $count, $linear, $hex) = @ARGV;
socket(my $socket, 17, 3, 0) or die "socket: $!";
setsockopt($socket, 263, 15, pack("i", 1)) or die "PACKET_VNET_HDR: $!";
bind($socket, pack("SnlSCCa8", 17, 3, $ifindex, 0, 0, 0, "")) or die "bind: $!";
for (1 .. $count) {
  defined(syswrite($socket, pack("CCSSSS", 0, 0, $linear, 0, 0, 0) . pack("H*", $hex))) or die "send: $!";
}`;

/** Sends a frame out of a link of a namespace, byte for byte, with `linear` bytes of it in one piece. */
export async function sendFrames(
  netns: string,
  device: string,
  frame: Buffer,
  count: number,
  linear = frame.length,
): Promise<void> {
  const { stdout } = await execa("ip", ["-n", netns, "-j", "link", "show", "dev", device]);
  const { ifindex } = (JSON.parse(stdout) as { ifindex: number }[])[0]!;
  const words = [ifindex, count, linear].map(String);
  await execa("ip", ["netns", "exec", netns, "perl", "-e", sender, ...words, frame.toString("hex")]);
}
