import type { LbPolicyProps } from "./policy";
import type { LbForwardProps } from "./forward";

/** How it is found out whether a backend answers, by the balancer's host. */
export interface L4LbHealthCheck {
  /**
   * `"tcp"` opens a connection; `"http"` asks for `path` and wants a status from 200 to 399; `"udp-echo"` sends a
   * datagram and wants the same back (RFC 862).
   */
  readonly type: "tcp" | "http" | "udp-echo";
  /**
   * Port of the backend that is asked, 1 to 65535.
   * @default - the service's
   */
  readonly port?: number;
  /**
   * http: what is asked for.
   * @default "/"
   */
  readonly path?: string;
  /**
   * Milliseconds from one question to the next, 100 to 3600000.
   * @default 2000
   */
  readonly intervalMs?: number;
  /**
   * Milliseconds within which the answer has to be there, 50 to 60000, and less than the interval.
   * @default - half of the interval, at most 1000
   */
  readonly timeoutMs?: number;
  /**
   * Answers missing in a row after which a backend is down, 1 to 100.
   * @default 3
   */
  readonly fall?: number;
  /**
   * Answers in a row after which it is up again, 1 to 100.
   * @default 2
   */
  readonly rise?: number;
}

/** A server behind a service. */
export interface L4LbBackend {
  /** The server's own address: where encapsulated packets go, and what health checks ask. */
  readonly address: string;
  /**
   * Its share of new flows, in proportion to the others', 1 to 256.
   * @default 1
   */
  readonly weight?: number;
  /**
   * `"draining"` keeps its flows and gets no new ones; `"down"` gets nothing, and its flows find another backend.
   * @default "up" - and a health check may say otherwise
   */
  readonly state?: "up" | "draining" | "down";
  /**
   * draining: seconds after which what is left of its flows goes elsewhere, counted on the host from when it is told,
   * 1 to 604800.
   * @default - none: its flows end by themselves
   */
  readonly drainSeconds?: number;
  /**
   * Forwarding to it by MAC (`LbForward.direct()`): its link-layer address.
   * @default - the host's neighbour table has it
   */
  readonly mac?: string;
  /**
   * How it is asked whether it answers; `false` never asks.
   * @default - the service's
   */
  readonly healthCheck?: L4LbHealthCheck | false;
}

/** A virtual address and port, and who serves it. */
export interface L4LbService {
  /** The virtual address, IPv4 or IPv6: the backends have it on their loopback, no balancer has it. */
  readonly vip: string;
  /** Its port, 1 to 65535; 0 is every port that no other service of the address names. */
  readonly port: number;
  /** Its protocol. */
  readonly protocol: "tcp" | "udp";
  /**
   * How a new flow finds its backend.
   * @default LbPolicy.leastLoad()
   */
  readonly policy?: LbPolicyProps;
  /**
   * How packets get to the backends.
   * @default LbForward.ipip()
   */
  readonly forward?: LbForwardProps;
  /** The servers, by address each once. */
  readonly backends: readonly L4LbBackend[];
  /**
   * How backends are asked whether they answer.
   * @default - not at all: they are up
   */
  readonly healthCheck?: L4LbHealthCheck;
}
