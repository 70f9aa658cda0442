import type { AggregationLab } from "../../bench/support/netagg";

/** Who knows the receiver's probe port and no more, in one of the lab's namespaces. */
export interface Stranger {
  /** Sends a probe as if for a client's connections, over the second path; whether it is answered. */
  probe(said: { readonly client: string; readonly port: number }): Promise<string>;
  /** Sends the first packet of a connection, wrapped, as if the sender of it were the one who is meant. */
  wrap(said: { readonly from: string; readonly port: number }): Promise<void>;
}

/** kmod/netagg/src/message.h in Python's words, and addresses and a TCP header to go with them. */
const words = `import socket, struct, sys
def head(kind): return struct.pack("!IBBBB", 0x4e414747, kind, 1, 0, 0)
def probe(client, port):
    return (head(1) + struct.pack("!IIIIHH8s", 0x41414141, 0, 0, 0, port, 0, bytes(8))
            + socket.inet_aton(client) + socket.inet_aton("10.0.1.2"))
def total(data):
    words = struct.unpack(f"!{len(data) // 2}H", data)
    sum_ = sum(words)
    while sum_ >> 16: sum_ = (sum_ & 0xffff) + (sum_ >> 16)
    return ~sum_ & 0xffff
def syn(source, port):
    ends = socket.inet_aton(source) + socket.inet_aton("10.0.1.2")
    ip = lambda check: struct.pack("!BBHHHBBH", 0x45, 0, 40, 1, 0, 64, 6, check) + ends
    tcp = lambda check: struct.pack("!HHIIBBHHH", 40000, port, 1, 0, 0x50, 2, 1024, check, 0)
    return ip(total(ip(0))) + tcp(total(ends + struct.pack("!HH", 6, 20) + tcp(0)))
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out.settimeout(1)
to = ("10.0.2.2", 7481)
`;

/** A stranger in a namespace that reaches the receiver's second address. */
export function strangerIn(lab: AggregationLab, namespace: string): Stranger {
  const python = (script: string) =>
    lab.sh(`ip netns exec ${namespace} python3 - <<'END'\n${words}${script}\nEND`);
  return {
    probe: ({ client, port }) =>
      python(`out.sendto(probe("${client}", ${port}), to)
try:
    out.recv(999)
    print("an answer")
except socket.timeout:
    print("no answer")`),
    wrap: async ({ from, port }) => {
      await python(`for nth in range(5): out.sendto(head(3) + syn("${from}", ${port}), to)`);
    },
  };
}
