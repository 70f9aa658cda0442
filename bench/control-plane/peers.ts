import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { cacheFolder } from "../../lib/lab/paths";
import type { LoopbackSshd } from "../support/sshd";

/**
 * What else applies links to a host over ssh, each at its fastest settings and each doing the same lines:
 * `perLink[i]` are the `ip -batch` lines that make link i in namespace `netns`.
 */
export interface Job {
  readonly sshd: LoopbackSshd;
  readonly netns: string;
  readonly perLink: readonly (readonly string[])[];
}

/** The floor: every line in one `ip -batch` in one ssh session. */
export async function oneBatch({ sshd, netns, perLink }: Job): Promise<void> {
  await execa("ssh", [...sshd.sshOptions, `${sshd.user}@127.0.0.1`, "ip", "-n", netns, "-batch", "-"], {
    input: perLink.flat().join("\n") + "\n",
  });
}

/** One fresh ssh connection for each link, eight at a time: the engine's parallelism on two processors. */
export async function dialForEach({ sshd, netns, perLink }: Job): Promise<void> {
  const queue = [...perLink];
  const worker = async () => {
    for (let lines = queue.shift(); lines !== undefined; lines = queue.shift())
      await execa("ssh", [...sshd.sshOptions, `${sshd.user}@127.0.0.1`, "ip", "-n", netns, "-batch", "-"], {
        input: lines.join("\n") + "\n",
      });
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}

/** ansible-core with pipelining and ControlPersist: one task that loops over the links. */
export async function ansible({ sshd, netns, perLink }: Job): Promise<void> {
  await inFolder(async (folder) => {
    const options = sshd.sshOptions.join(" ");
    writeFileSync(
      join(folder, "ansible.cfg"),
      [
        "[defaults]",
        "host_key_checking = True",
        "gathering = explicit",
        `local_tmp = ${join(folder, "tmp")}`,
        "[ssh_connection]",
        "pipelining = True",
        `ssh_args = ${options} -o ControlMaster=auto -o ControlPersist=60s -o ControlPath=${join(folder, "c")}`,
        "",
      ].join("\n"),
    );
    const items = perLink.map((lines) => lines.join("\n") + "\n");
    writeFileSync(
      join(folder, "play.json"),
      JSON.stringify([
        {
          hosts: "all",
          gather_facts: false,
          tasks: [
            {
              name: "links",
              "ansible.builtin.command": { argv: ["ip", "-n", netns, "-batch", "-"], stdin: "{{ item }}" },
              loop: items,
              loop_control: { label: "{{ ansible_loop_var }}" },
            },
          ],
        },
      ]),
    );
    writeFileSync(
      join(folder, "inventory"),
      `bench ansible_host=127.0.0.1 ansible_port=${sshd.port} ansible_user=${sshd.user} ansible_python_interpreter=/usr/bin/python3\n`,
    );
    try {
      await execa(python("ansible-playbook"), ["-i", join(folder, "inventory"), join(folder, "play.json")], {
        env: { ANSIBLE_CONFIG: join(folder, "ansible.cfg"), ANSIBLE_HOME: join(folder, "home") },
      });
    } finally {
      // ControlPersist leaves a master behind.
      await execa(
        "ssh",
        ["-F", "none", "-o", `ControlPath=${join(folder, "c")}`, "-O", "exit", "127.0.0.1"],
        { reject: false },
      );
    }
  });
}

/** pyinfra: one operation a link, over its one connection. */
export async function pyinfra({ sshd, netns, perLink }: Job): Promise<void> {
  await inFolder(async (folder) => {
    const knownHosts = sshd.sshOptions
      .find((option) => option.startsWith("UserKnownHostsFile="))!
      .split("=")[1]!;
    writeFileSync(
      join(folder, "inventory.py"),
      `hosts = [("127.0.0.1", ${JSON.stringify({
        ssh_port: sshd.port,
        ssh_user: sshd.user,
        ssh_key: sshd.privateKeyFile,
        ssh_known_hosts_file: knownHosts,
      })})]\n`,
    );
    writeFileSync(join(folder, "links.json"), JSON.stringify(perLink));
    writeFileSync(
      join(folder, "deploy.py"),
      [
        "import json",
        "from pyinfra.operations import server",
        `for number, lines in enumerate(json.load(open(${JSON.stringify(join(folder, "links.json"))}))):`,
        `    server.shell(name=f"link {number}", commands=["ip -n ${netns} -batch - <<'END'\\n" + "\\n".join(lines) + "\\nEND"])`,
        "",
      ].join("\n"),
    );
    await execa(python("pyinfra"), ["-y", join(folder, "inventory.py"), join(folder, "deploy.py")], {
      cwd: folder,
    });
  });
}

/** Installs both from the Python package index into a folder of their own, once. */
export async function installPeers(): Promise<void> {
  const folder = join(cacheFolder(), "bench-venv");
  if (existsSync(join(folder, "bin", "pyinfra")) && existsSync(join(folder, "bin", "ansible-playbook")))
    return;
  console.log("installing ansible-core and pyinfra …");
  await execa("python3", ["-m", "venv", folder]);
  await execa(join(folder, "bin", "pip"), ["-q", "install", "ansible-core", "pyinfra"]);
}

function python(program: string): string {
  return join(cacheFolder(), "bench-venv", "bin", program);
}

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "netloom-bench-"));
  try {
    await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
