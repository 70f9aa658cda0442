import * as pulumi from "@pulumi/pulumi";
import { definePlace, Composite, Testing } from "../../../lib/synth";
import { Machine, Space, wireIn, waysIn } from "./kinds";
import { refusals } from "./support";

function onEdge() {
  const app = Testing.app();
  const edge = new Machine(app, "edge");
  return { app, edge, box: new Space(edge, "box", "edge") };
}

describe("interface names", () => {
  test("two interfaces of one name in one namespace are refused with the first one's path", () => {
    const { app, box } = onEdge();
    wireIn(box, "one", { name: "eth0" });
    wireIn(box, "two", { name: "eth0" });
    expect(refusals(app)).toEqual([
      "[edge/box/two] name: edge/box/one makes an interface eth0 in namespace box of edge already",
    ]);
  });

  test("the same name is allowed in two namespaces and on two hosts", () => {
    const { app, edge, box } = onEdge();
    wireIn(box, "one", { name: "eth0" });
    wireIn(edge, "two", { name: "eth0" });
    wireIn(new Machine(app, "far"), "three", { name: "eth0" });
    expect(refusals(app)).toEqual([]);
  });

  test("a name of 16 bytes is refused, one of 15 is not", () => {
    const { app, box } = onEdge();
    wireIn(box, "long", { name: "abcdefghijklmnop" });
    wireIn(box, "fits", { name: "abcdefghijklmno" });
    expect(refusals(app)).toEqual([
      "[edge/box/long] name: the interface name abcdefghijklmnop has 16 bytes; Linux takes 15",
    ]);
  });
});

describe("addresses", () => {
  test("one address twice in a namespace is refused, also with another prefix length", () => {
    const { app, box } = onEdge();
    wireIn(box, "a", { addresses: ["10.0.0.1/24"] });
    wireIn(box, "b", { addresses: ["10.0.0.1/32"] });
    expect(refusals(app)).toEqual([
      "[edge/box/b] addresses[0]: 10.0.0.1/32 is on a of namespace box of edge already (edge/box/a)",
    ]);
  });

  test("overlapping subnets on two links of a namespace are refused", () => {
    const { app, box } = onEdge();
    wireIn(box, "a", { addresses: ["10.0.0.1/16"] });
    wireIn(box, "b", { addresses: ["10.0.5.1/24", "2001:db8::1/64"] });
    expect(refusals(app)).toEqual([
      "[edge/box/b] addresses[0]: the subnet of 10.0.5.1/24 on b overlaps that of 10.0.0.1/16 on a (edge/box/a) in namespace box of edge",
    ]);
  });

  test("several addresses of one subnet on one link, single addresses and link-local ones are allowed", () => {
    const { app, box } = onEdge();
    wireIn(box, "a", { addresses: ["10.0.0.1/24", "10.0.0.2/24", "fe80::1/64"] });
    wireIn(box, "b", { addresses: ["10.0.0.9/32", "fe80::1/64"] });
    expect(refusals(app)).toEqual([]);
  });

  test("the same subnet is allowed in two namespaces", () => {
    const { app, edge, box } = onEdge();
    wireIn(box, "a", { addresses: ["10.0.0.1/24"] });
    wireIn(edge, "b", { addresses: ["10.0.0.1/24"] });
    expect(refusals(app)).toEqual([]);
  });
});

describe("tunnels", () => {
  const gre = { protocol: "gre", local: "10.0.0.1", remote: "10.0.0.2", overhead: 24 };

  test("two tunnels with the same protocol, ends and key are refused", () => {
    const { app, box } = onEdge();
    wireIn(box, "t1", { tunnel: { ...gre, key: 7 } });
    wireIn(box, "t2", { tunnel: { ...gre, key: 7 } });
    expect(refusals(app)).toEqual([
      "[edge/box/t2] tunnel: t2 and t1 (edge/box/t1) in namespace box of edge have the same protocol gre, ends 10.0.0.1 → 10.0.0.2 and key 7; the kernel cannot tell them apart: give each its own key",
    ]);
  });

  test("another key, another protocol or another namespace tells tunnels apart", () => {
    const { app, edge, box } = onEdge();
    wireIn(box, "t1", { tunnel: { ...gre, key: 7 } });
    wireIn(box, "t2", { tunnel: { ...gre, key: 8 } });
    wireIn(box, "t3", { tunnel: gre });
    wireIn(box, "t4", { tunnel: { ...gre, protocol: "ipip" } });
    wireIn(edge, "t5", { tunnel: gre });
    expect(refusals(app)).toEqual([]);
  });

  test("a key that is known only when deployed is no clash", () => {
    const { app, box } = onEdge();
    wireIn(box, "t1", { tunnel: { ...gre, key: pulumi.secret(1) } });
    wireIn(box, "t2", { tunnel: { ...gre, key: pulumi.secret(2) } });
    expect(refusals(app)).toEqual([]);
  });

  test("a VNI twice in a namespace is refused whatever the ends", () => {
    const { app, box } = onEdge();
    const vxlan = { protocol: "vxlan", overhead: 50, key: 100 };
    wireIn(box, "v1", { tunnel: { ...vxlan, remote: "10.0.0.2" } });
    wireIn(box, "v2", { tunnel: { ...vxlan, remote: "10.0.0.3" } });
    expect(refusals(app)).toEqual([
      "[edge/box/v2] tunnel: v2 and v1 (edge/box/v1) in namespace box of edge have the same vxlan key 100; the kernel cannot tell them apart: give each its own key",
    ]);
  });
});

describe("the MTU budget", () => {
  test("a tunnel that is too large for the link with its local address is refused with what would fit", () => {
    const { app, box } = onEdge();
    wireIn(box, "eth0", { addresses: ["10.0.0.1/24"] });
    wireIn(box, "t1", {
      mtu: 1477,
      tunnel: { protocol: "gre", local: "10.0.0.1", remote: "10.9.9.9", overhead: 24 },
    });
    expect(refusals(app)).toEqual([
      "[edge/box/t1] mtu: 1477 bytes do not fit through t1: gre adds 24 and eth0 below it carries 1500; at most 1476",
    ]);
  });

  test("a tunnel that just fits is allowed", () => {
    const { app, box } = onEdge();
    wireIn(box, "eth0", { addresses: ["10.0.0.1/24"] });
    wireIn(box, "t1", {
      mtu: 1476,
      tunnel: { protocol: "gre", local: "10.0.0.1", remote: "10.0.0.2", overhead: 24 },
    });
    expect(refusals(app)).toEqual([]);
  });

  test("the link below is found through the narrowest route to the remote end", () => {
    const { app, box } = onEdge();
    wireIn(box, "eth0", { addresses: ["10.0.0.1/24"] });
    wireIn(box, "ppp0", { mtu: 1400, addresses: ["10.1.0.1/24"] });
    waysIn(box, "routes", [
      { destination: "default", via: "10.0.0.254" },
      { destination: "203.0.113.0/24", via: "10.1.0.254" },
    ]);
    wireIn(box, "t1", {
      mtu: 1400,
      tunnel: { protocol: "gre", local: "10.0.0.1", remote: "203.0.113.5", overhead: 24 },
    });
    expect(refusals(app)).toEqual([
      "[edge/box/t1] mtu: 1400 bytes do not fit through t1: gre adds 24 and ppp0 below it carries 1400; at most 1376",
    ]);
  });

  test("encapsulations add up through a tunnel in a tunnel", () => {
    const { app, box } = onEdge();
    wireIn(box, "eth0", { addresses: ["10.0.0.1/24"] });
    wireIn(box, "t1", {
      addresses: ["10.1.0.1/30"],
      tunnel: { protocol: "gre", remote: "10.0.0.2", overhead: 24 },
    });
    wireIn(box, "t2", {
      mtu: 1457,
      tunnel: { protocol: "ipip", local: "10.1.0.1", remote: "10.1.0.2", overhead: 20 },
    });
    expect(refusals(app)).toEqual([
      "[edge/box/t2] mtu: 1457 bytes do not fit through t2: ipip adds 20 and t1 below it carries 1476; at most 1456",
    ]);
  });

  test("a bridge carries what the smallest of its ports does", () => {
    const { app, box } = onEdge();
    wireIn(box, "br0", { kind: "bridge", addresses: ["10.0.0.1/24"] });
    wireIn(box, "p1", { master: "br0", mtu: 1450 });
    wireIn(box, "t1", { mtu: 1476, tunnel: { protocol: "gre", remote: "10.0.0.2", overhead: 24 } });
    expect(refusals(app)).toEqual([
      "[edge/box/t1] mtu: 1476 bytes do not fit through t1: gre adds 24 and br0 below it carries 1450; at most 1426",
    ]);
  });

  test("a physical link of unknown MTU and a link that is not ours forbid nothing", () => {
    const { app, box } = onEdge();
    wireIn(box, "eth0", { kind: "physical", addresses: ["10.0.0.1/24"] });
    wireIn(box, "t1", {
      mtu: 8976,
      tunnel: { protocol: "gre", local: "10.0.0.1", remote: "10.0.0.2", overhead: 24 },
    });
    wireIn(box, "t2", {
      mtu: 8976,
      tunnel: { protocol: "gre", local: "10.7.0.1", remote: "10.7.0.2", overhead: 24 },
    });
    expect(refusals(app)).toEqual([]);
  });

  test("an MTU under 1280 is refused with an IPv6 address and allowed without", () => {
    const { app, box } = onEdge();
    wireIn(box, "a", { mtu: 1279, addresses: ["2001:db8::1/64"] });
    wireIn(box, "b", { mtu: 1279, addresses: ["10.0.0.1/24"] });
    wireIn(box, "c", { mtu: 1280, addresses: ["2001:db8:1::1/64"] });
    expect(refusals(app)).toEqual([
      "[edge/box/a] mtu: IPv6 needs 1280 bytes, and a with 2001:db8::1/64 carries 1279; raise the MTU of what is below it or take the address away",
    ]);
  });
});

describe("next hops and devices of routes", () => {
  test("a next hop in no subnet of a namespace that is wholly ours is refused with what there is", () => {
    const { app, box } = onEdge();
    wireIn(box, "eth0", { addresses: ["10.0.0.1/24"] });
    waysIn(box, "routes", [{ destination: "default", via: "10.0.1.254" }]);
    expect(refusals(app)).toEqual([
      "[edge/box/routes] routes[0].via: the next hop 10.0.1.254 is in no subnet of namespace box of edge: it has 10.0.0.1/24 eth0",
    ]);
  });

  test("a next hop in the subnet of another link than the route's is refused", () => {
    const { app, box } = onEdge();
    wireIn(box, "eth0", { addresses: ["10.0.0.1/24"] });
    wireIn(box, "eth1");
    waysIn(box, "routes", [{ destination: "default", via: "10.0.0.254", dev: "eth1" }]);
    expect(refusals(app)).toHaveLength(1);
  });

  test("a next hop that a route onto a link covers is allowed", () => {
    const { app, box } = onEdge();
    wireIn(box, "eth0");
    waysIn(box, "routes", [
      { destination: "172.16.3.1/32", dev: "eth0" },
      { destination: "default", via: "172.16.3.1" },
    ]);
    expect(refusals(app)).toEqual([]);
  });

  test("a route of another table than its own and main covers no next hop", () => {
    const { app, box } = onEdge();
    wireIn(box, "eth0");
    waysIn(box, "routes", [
      { destination: "172.16.3.1/32", dev: "eth0", table: 4 },
      { destination: "default", via: "172.16.3.1", table: 3 },
    ]);
    expect(refusals(app)).toHaveLength(1);
  });

  test("next hops and devices are left alone where links may exist that the program does not make", () => {
    const { app, edge } = onEdge();
    const taken = new Space(edge, "taken", "edge", { adopt: true });
    waysIn(edge, "initial", [{ destination: "default", via: "10.0.1.254", dev: "eno1" }]);
    waysIn(taken, "adopted", [{ destination: "default", via: "10.0.1.254", dev: "eno1" }]);
    expect(refusals(app)).toEqual([]);
  });

  test("a route onto a link that nobody makes is refused with those there are", () => {
    const { app, box } = onEdge();
    wireIn(box, "eth0");
    waysIn(box, "routes", [
      { destination: "10.1.0.0/16", dev: "eth1" },
      { destination: "10.2.0.0/16", dev: "lo" },
      { destination: "10.3.0.0/16", dev: "eth0" },
    ]);
    expect(refusals(app)).toEqual([
      "[edge/box/routes] routes[0].dev: there is no link eth1 in namespace box of edge: it has lo, eth0",
    ]);
  });

  test("a link that its own schema refuses causes no complaints about routes over it", () => {
    const { app, box } = onEdge();
    wireIn(box, "eth0", { name: "eth 0", addresses: ["10.0.0.1/24"] });
    waysIn(box, "routes", [{ destination: "default", via: "10.0.0.254", dev: "eth0" }]);
    expect(refusals(app)).toEqual(["[edge/box/eth0] name: must be plain characters"]);
  });
});

describe("namespaces and hosts", () => {
  test("a namespace that nothing makes is refused", () => {
    const { app, edge } = onEdge();
    wireIn(edge, "eth0", { netns: "nowhere" });
    expect(refusals(app)).toEqual([
      "[edge/eth0] netns: nothing makes the network namespace nowhere on edge: add a Namespace, or Namespace.existing if it is there already",
    ]);
  });

  test("a namespace of another host does not count", () => {
    const { app } = onEdge();
    wireIn(new Machine(app, "far"), "eth0", { netns: "box" });
    expect(refusals(app)).toHaveLength(1);
  });

  test("a namespace that is declared as existing is accepted", () => {
    const { app, edge } = onEdge();
    const there = new Composite(edge, "there");
    definePlace(there, { host: { name: "edge" }, netns: "there", existing: true });
    wireIn(there, "eth0");
    expect(refusals(app)).toEqual([]);
    expect(Testing.synth(app).find((r) => r.path === "edge/there/eth0")?.spec).toEqual({
      name: "eth0",
      netns: "there",
    });
  });

  test("a namespace that is made twice is refused", () => {
    const { app, edge } = onEdge();
    new Space(new Composite(edge, "again"), "box", "edge");
    expect(refusals(app)).toEqual([
      "[edge/again/box] name: edge/box makes the network namespace box on edge already",
    ]);
  });

  test("two hosts of one name are refused", () => {
    const app = Testing.app();
    new Machine(app, "a", "edge");
    new Machine(app, "b", "edge");
    expect(refusals(app)).toEqual([
      "[b] name: the host name edge is that of a too; give one of them another name",
    ]);
  });

  test("one object twice is refused by its id", () => {
    const { app, box } = onEdge();
    waysIn(box, "r", []);
    waysIn(new Composite(box, "more"), "r", []);
    expect(refusals(app)).toEqual([
      "[edge/box/more/r] edge/box/r is the same netloom:test:Ways edge/box/r; give one of them another name",
    ]);
  });
});
