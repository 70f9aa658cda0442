import * as pulumi from "@pulumi/pulumi";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import { App, Files, Host, HostCommand, Namespace, Testing } from "../../../lib";
import { COMMAND_VERSION } from "../../../constructs/host-command";
import { refusals } from "../synth/support";
import { isSecret, nameOf, registered, type Registered } from "../synth/mocks";

const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0";

interface Given {
  readonly host?: object;
  readonly props?: object;
  readonly config?: Record<string, string>;
}

function program({ host = {}, props = {} }: Given = {}): App {
  const app = new App();
  const edge = new Host(app, "edge", { address: "192.0.2.1", hostKey: KEY, ...host });
  const files = new Files(edge, "conf", { directory: "/etc/x", files: { a: { content: "1\n" } } });
  const reload = new HostCommand(edge, "reload", {
    command: ["x", "--reload"],
    triggers: { a: "1" },
    ...props,
  });
  reload.node.addDependency(files);
  return app;
}

async function command(given: Given = {}): Promise<Registered> {
  const { resources } = await registered(() => program(given).deploy(), { config: given.config });
  const found = resources.find(({ type }) => type.startsWith("command:"));
  if (found === undefined) throw new Error("no command was registered");
  return found;
}

/** A secret as the mocks see it: in an envelope. */
const unwrapped = (value: unknown) => (value as { value: Record<string, unknown> }).value;

/** Runs a command line as sshd does, by a login shell; nothing of ours comes in between. */
function asLogin(line: string, input = "") {
  const { stdout, status } = spawnSync("/bin/bash", ["-c", line], { input, encoding: "utf8", cwd: "/" });
  return { stdout, status };
}

describe("a command on a host", () => {
  test("is the remote command of the package's plugin, with the host's own connection as a secret", async () => {
    const found = await command({ host: { port: 2222, user: "admin", privateKey: "PEM" } });
    expect(found).toMatchObject({ type: "command:remote:Command", name: "edge/reload" });
    expect(isSecret(found.inputs["connection"])).toBe(true);
    expect(unwrapped(found.inputs["connection"])).toMatchObject({
      host: "192.0.2.1",
      port: 2222,
      user: "admin",
      hostKey: KEY,
      privateKey: "PEM",
    });
  });

  test("registers the same as the package's own class would, so that one can take the other's place", async () => {
    const ours = await command({ host: { privateKey: "PEM" } });
    const { resources } = await registered(async () => {
      const { remote } = await import("@pulumi/command");
      const { create, update, triggers } = ours.inputs as Record<string, string>;
      const connection = {
        host: "192.0.2.1",
        user: "root",
        port: 22,
        hostKey: KEY,
        privateKey: pulumi.secret("PEM"),
      };
      new remote.Command("edge/reload", {
        connection,
        create,
        update,
        triggers: triggers as unknown as string[],
      });
    });
    const theirs = resources.find(({ type }) => type === ours.type);
    const plain = (connection: unknown) => {
      const { privateKey, dialErrorLimit, perDialTimeout, ...rest } = unwrapped(connection);
      expect([privateKey, dialErrorLimit, perDialTimeout]).toBeDefined();
      return rest;
    };
    expect(plain(ours.inputs["connection"])).toEqual(plain(theirs?.inputs["connection"]));
    const { connection: one, ...rest } = ours.inputs;
    const { connection: two, ...others } = theirs?.inputs ?? {};
    expect([one, two].map(isSecret)).toEqual([true, true]);
    expect(rest).toEqual(others);
    const file = join(__dirname, "..", "..", "..", "node_modules", "@pulumi", "command", "package.json");
    expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({ version: COMMAND_VERSION });
  });

  test("needs nothing of the package: a program without one never loads it, and one with it neither", async () => {
    jest.resetModules();
    await command();
    const loaded = Object.keys(require.cache).filter((path) => /node_modules\/@pulumi\/command\//.test(path));
    expect(loaded).toEqual([]);
    const sources = ["constructs/host-command.ts", "lib/synth/register.ts", "lib/synth/other-plugin.ts"];
    for (const source of sources) {
      const text = readFileSync(join(__dirname, "..", "..", "..", source), "utf8");
      expect(text).not.toMatch(/(import|require)\b[^\n]*@pulumi\/command/);
    }
  });

  test("waits for what it depends on, and is its scope's", async () => {
    const { request } = await command();
    expect(request.dependencies.map(nameOf)).toEqual(["edge/conf"]);
    expect(nameOf(request.parent)).toBe("edge");
    expect(request.provider).toBe("");
  });

  test("is made anew by another trigger, another command or another input, and by nothing else", async () => {
    const triggers = async (given: Given) => (await command(given)).inputs["triggers"];
    const first = await triggers({});
    const more = (props: object) => triggers({ props });
    expect(await more({ triggers: { a: "2" } })).not.toEqual(first);
    expect(await more({ command: ["x", "--other"] })).not.toEqual(first);
    expect(await more({ stdin: "y" })).not.toEqual(first);
    expect(
      await triggers({ host: { address: "192.0.2.9", port: 1, user: "u", privateKey: "OTHER" } }),
    ).toEqual(first);
    // A changed connection is an update, and that does nothing on the host.
    expect((await command()).inputs["update"]).toBe(":");
    const ab = await more({ triggers: { a: "1", b: "2" } });
    expect(await more({ triggers: { b: "2", a: "1" } })).toEqual(ab);
  });

  test("takes its key as everything else does: the host's own, the stack's for the host, the stack's", async () => {
    const keyOf = async (given: Given) =>
      JSON.stringify(unwrapped((await command(given)).inputs["connection"])["privateKey"] ?? null);
    expect(await keyOf({})).toBe("null");
    const config = {
      "netloom:privateKey": "OF-ALL",
      "netloom:hostPrivateKeys": JSON.stringify({ edge: "OF-EDGE" }),
    };
    expect(await keyOf({ config: { "netloom:privateKey": "OF-ALL" } })).toContain("OF-ALL");
    expect(await keyOf({ config })).toContain("OF-EDGE");
    expect(await keyOf({ config, host: { privateKey: "OWN" } })).toContain("OWN");
  });

  test("on a host without address is a local command", async () => {
    const { resources } = await registered(() => {
      const app = new App();
      new HostCommand(new Host(app, "here"), "reload", { command: ["true"] });
      return app.deploy();
    });
    const found = resources.find(({ type }) => type === "command:local:Command");
    expect(found?.inputs).not.toHaveProperty("connection");
    expect(found?.inputs["create"]).toMatch(/exec 'sh'|exec '/);
  });

  test("goes through the jump host with the same key", async () => {
    const { inputs } = await command({ host: { jumpHost: "me@[2001:db8::1]:2200", privateKey: "PEM" } });
    expect(unwrapped(inputs["connection"])["proxy"]).toMatchObject({
      host: "2001:db8::1",
      user: "me",
      port: 2200,
    });
  });

  test("its output is the program's to have", async () => {
    const { result } = await registered(() => program().deploy());
    expect(Object.keys((result as Record<string, object>)["edge/reload"] ?? {})).toEqual([
      "stdout",
      "stderr",
    ]);
  });
});

describe("the command line", () => {
  const line = async (props: object) => (await command({ props })).inputs["create"] as string;

  test("passes every argument on as it is, in the folder, with its input, and the status back", async () => {
    const hostile = ["$(id)", "`id`", "a'b", 'c"d', "; echo pwned", "-x", "", "e f\ng", "*"];
    const words = await line({ command: ["printf", "%s\\0", ...hostile] });
    expect(asLogin(words).stdout).toBe(hostile.map((word) => `${word}\0`).join(""));
    expect(asLogin(await line({ command: ["pwd"], directory: "/usr/share" })).stdout).toBe("/usr/share\n");
    expect(asLogin(await line({ command: ["cat"], stdin: "in" }), "in").stdout).toBe("in");
    expect(asLogin(await line({ command: ["sh", "-c", "exit 7"] })).status).toBe(7);
    expect(asLogin(await line({ command: ["true"], directory: "/nonexistent" })).status).not.toBe(0);
  });

  test("is in the namespace that the command is in", () => {
    const app = new App();
    const edge = new Host(app, "edge");
    new HostCommand(new Namespace(edge, "ns9"), "show", { command: ["ip", "link"] });
    const [, plan] = Testing.synth(app);
    expect(plan).toMatchObject({
      token: "command:remote:Command",
      spec: { netns: "ns9" },
      deletedWith: "edge/ns9",
    });
  });
});

describe("what is refused", () => {
  test.each<[Given, RegExp]>([
    [{ host: { hostKey: undefined } }, /^\[edge\/reload\].*its host edge has no hostKey/],
    [{ props: { command: [] } }, /^\[edge\/reload\] command: is empty/],
    [{ props: { command: ["-x"] } }, /^\[edge\/reload\] command\[0\]: begins with no program/],
    [{ props: { command: ["a", "b\0"] } }, /^\[edge\/reload\] command\[1\]: holds a NUL/],
    [{ props: { directory: "src" } }, /^\[edge\/reload\] directory: must be an absolute path/],
  ])("%j", (given, message) => {
    expect(refusals(program(given)).join("\n")).toMatch(message);
  });
});
