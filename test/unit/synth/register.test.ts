import * as pulumi from "@pulumi/pulumi";
import { Construct } from "constructs";
import { App, Composite, definePlace } from "../../../lib/synth";
import { Machine, Space, wireIn } from "./kinds";
import { isSecret, nameOf, registered } from "./mocks";

class Site extends Composite {
  protected override outputs() {
    return { answer: 42 };
  }
}

function program(app = new App()) {
  const edge = new Machine(app, "edge");
  const site = new Site(edge, "site");
  // Before the namespace that it is in, on purpose.
  const eth0 = wireIn(site, "eth0", { netns: "box", addresses: ["10.0.0.1/24"] });
  const box = new Space(edge, "box", "edge", { protect: true });
  wireIn(box, "inner", { mtu: pulumi.secret(1400) }, { adopt: true, retainOnDelete: true });
  const extra = wireIn(new Construct(edge, "plain"), "eth1", {});
  extra.node.addDependency(eth0);
  return app;
}

describe("deploying an app", () => {
  test("registers one provider, components for scopes and one resource for each leaf, in order", async () => {
    const { resources } = await registered(() => program().deploy());
    const told = resources.map(({ type, name }) => `${type} ${name}`);
    expect(told.filter((line) => line.startsWith("netloom:test:"))).toEqual([
      "netloom:test:Space edge/box",
      "netloom:test:Wire edge/site/eth0",
      "netloom:test:Wire edge/box/inner",
      "netloom:test:Wire edge/plain/eth1",
    ]);
    expect(told.filter((line) => !line.startsWith("netloom:test:")).sort()).toEqual([
      "netloom:construct:Construct edge/plain",
      "netloom:construct:Machine edge",
      "netloom:construct:Site edge/site",
      "pulumi:providers:netloom netloom",
      "pulumi:pulumi:Stack netloom-test",
    ]);
  });

  test("makes scopes parents, dependencies dependsOn, and the namespace what a resource is deleted with", async () => {
    const { resources } = await registered(() => program().deploy());
    const told = Object.fromEntries(
      resources.map(({ name, request }) => [
        name,
        [
          nameOf(request.parent),
          request.dependencies.map(nameOf),
          request.deletedWith === "" ? "" : nameOf(request.deletedWith),
        ],
      ]),
    );
    expect(told).toMatchObject({
      edge: ["netloom-test", [], ""],
      "edge/box": ["edge", [], ""],
      "edge/site": ["edge", [], ""],
      "edge/site/eth0": ["edge/site", ["edge/box"], "edge/box"],
      "edge/box/inner": ["edge/box", ["edge/box"], "edge/box"],
      "edge/plain/eth1": ["edge/plain", ["edge/site/eth0"], ""],
    });
  });

  test("makes again with a link what the kernel takes away with it", async () => {
    const { resources } = await registered(() => program().deploy());
    const told = resources.flatMap(({ name, request }) =>
      request.replaceWith.length === 0 ? [] : [[name, request.replaceWith.map(nameOf)]],
    );
    expect(told).toEqual([["edge/plain/eth1", ["edge/site/eth0"]]]);
  });

  test("sends every resource to the app's own provider, and its lifecycle and adoption with it", async () => {
    const { resources } = await registered(() => program().deploy());
    const provider = resources.find(({ type }) => type === "pulumi:providers:netloom");
    const leaves = resources.filter(({ type }) => type.startsWith("netloom:test:"));
    for (const { request } of leaves) expect(request.provider).toMatch(/::netloom::id:netloom$/);
    expect(provider?.inputs).toEqual({});
    const inner = resources.find(({ name }) => name === "edge/box/inner");
    // Pulumi protects what is inside something protected.
    expect(inner?.request).toMatchObject({ protect: true, retainOnDelete: true });
    expect(resources.find(({ name }) => name === "edge/site/eth0")?.request.protect).toBe(false);
    expect(inner?.inputs).toMatchObject({ adopt: true, netns: "box", host: { name: "edge" } });
    expect(resources.find(({ name }) => name === "edge/box")?.request.protect).toBe(true);
  });

  test("returns ids and outputs by construct path", async () => {
    const { result } = await registered(() => program().deploy());
    expect(result).toEqual({
      "edge/box": "id:edge/box",
      "edge/site": { answer: 42 },
      "edge/site/eth0": "id:edge/site/eth0",
      "edge/box/inner": "id:edge/box/inner",
      "edge/plain/eth1": "id:edge/plain/eth1",
    });
  });

  test("keeps secrets secret", async () => {
    const { resources } = await registered(() => program().deploy());
    expect(isSecret(resources.find(({ name }) => name === "edge/box/inner")?.inputs["mtu"])).toBe(true);
  });

  test("takes credentials from the configuration into the provider alone, as secrets", async () => {
    const config = { "netloom:privateKey": "PEM-OF-ALL", "netloom:deleteUnreachable": "true" };
    const { resources } = await registered(() => program().deploy(), { config });
    const provider = resources.find(({ type }) => type === "pulumi:providers:netloom");
    expect(isSecret(provider?.inputs["privateKey"])).toBe(true);
    expect(provider?.inputs["deleteUnreachable"]).toBe("true");
    const rest = resources.filter((resource) => resource !== provider);
    expect(JSON.stringify(rest)).not.toContain("PEM-OF-ALL");
  });

  test("takes the app's own key before the configuration's, and a host's own key by its name", async () => {
    const { resources } = await registered(
      () => {
        const app = new App({ privateKey: "MINE" });
        const far = new Composite(app, "far");
        definePlace(far, { host: { name: "far", address: "192.0.2.9" }, privateKey: "FAR-KEY" });
        wireIn(far, "eth0");
        return app.deploy();
      },
      { config: { "netloom:privateKey": "PEM-OF-ALL" } },
    );
    const provider = resources.find(({ type }) => type === "pulumi:providers:netloom");
    expect(JSON.stringify(provider?.inputs)).toContain("MINE");
    expect(JSON.stringify(provider?.inputs["hostPrivateKeys"])).toContain("FAR-KEY");
    expect(isSecret(provider?.inputs["hostPrivateKeys"])).toBe(true);
    const eth0 = resources.find(({ name }) => name === "far/eth0");
    expect(eth0?.inputs["host"]).toEqual({ name: "far", address: "192.0.2.9" });
  });

  test("registers nothing at all when the program is refused", async () => {
    let message = "";
    const { resources } = await registered(() => {
      const app = program();
      wireIn(app.node.findChild("edge"), "bad", { name: "; reboot" });
      try {
        app.deploy();
      } catch (error) {
        message = String(error);
      }
    });
    expect(message).toContain("[edge/bad] name: must be plain characters");
    expect(resources.map(({ type }) => type)).toEqual(["pulumi:pulumi:Stack"]);
  });

  test("is done once", async () => {
    await registered(() => {
      const app = program();
      app.deploy();
      expect(() => app.deploy()).toThrow("App.deploy() was called twice");
    });
  });
});
