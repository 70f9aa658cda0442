import type { Fact, FileFact, Query } from "../kinds/step";
import { bpfQuestion } from "./bpf-tools";
import { compilerQuestion } from "./build-tools";
import type { Answer } from "./exchange";
import { linksQuestion } from "./link-tools";
import { moduleQuestion } from "./module-tools";
import { netaggQuestion } from "./netagg-tool";
import { absolutePath, netnsName, quote, quoteAll, sysctlPath } from "./quote";
import { systemQuestion } from "./system-tools";
import { parseToolJson } from "./tool-json";

/** A query as the shell runs it, and how its answers become a fact. */
export interface RenderedQuery {
  /** Programs that the host must have. */
  readonly needs: readonly string[];
  /** Shell texts, run one after the other. */
  readonly scripts: readonly string[];
  /** Makes the fact of the answers, one for each script. */
  read(answers: readonly (Answer | undefined)[]): Fact;
}

/**
 * Renders a query. Everything in it is quoted: no part can become a command.
 *
 * @throws HostError for a namespace, key or path that is none.
 */
export function renderQuery(query: Query): RenderedQuery {
  switch (query.tool) {
    case "ip":
    case "tc": {
      const within = query.netns === undefined ? "" : `-n ${quote(netnsName(query.netns))} `;
      return json(query.tool, [query.tool], `${query.tool} ${within}-j ${quoteAll(query.args)}`, []);
    }
    case "nft": {
      const needs = query.netns === undefined ? ["nft"] : ["ip", "nft"];
      return json("nft", needs, `${inNetns(query.netns)}nft -j ${quoteAll(query.args)}`, { nftables: [] });
    }
    case "sysctl":
      return settings(query.netns, query.keys);
    case "file":
      return files(query.paths);
    case "bpftool":
    case "bpf-pins":
    case "sha256sum": {
      const question = bpfQuestion(query);
      const { needs, script } = question;
      return { needs, scripts: [script], read: ([answer]) => (answer ? question.read(answer) : skipped) };
    }
    case "cc": {
      const { script, read } = compilerQuestion;
      return { needs: [], scripts: [script], read: ([answer]) => (answer ? read(answer) : skipped) };
    }
    case "readlink": {
      const { needs, script, read } = linksQuestion(query.paths);
      return { needs, scripts: [script], read: ([answer]) => (answer ? read(answer) : skipped) };
    }
    case "netagg": {
      const { needs, script, read } = netaggQuestion(query.netns);
      return { needs, scripts: [script], read: ([answer]) => (answer ? read(answer) : skipped) };
    }
    case "kernel-module": {
      const { needs, script, read } = moduleQuestion(query.args[0]);
      return { needs, scripts: [script], read: ([answer]) => (answer ? read(answer) : skipped) };
    }
    case "systemctl":
    case "dpkg-query": {
      const { needs, script, read } = systemQuestion(query);
      return { needs, scripts: [script], read: ([answer]) => (answer ? read(answer) : skipped) };
    }
  }
}

/** The words before a command that is to run in a namespace. */
export function inNetns(netns: string | undefined): string {
  return netns === undefined ? "" : `ip netns exec ${quote(netnsName(netns))} `;
}

function json(tool: string, needs: readonly string[], command: string, nothing: unknown): RenderedQuery {
  return {
    needs,
    scripts: [`${command} </dev/null`],
    read([answer]) {
      if (!answer) return skipped;
      if (answer.status !== 0) return failed(tool, answer);
      const text = answer.stdout.toString("utf8").trim();
      try {
        return { ok: true, value: text === "" ? nothing : parseToolJson(text) };
      } catch {
        // Parts of tc know no JSON in every release (HTB's classes before iproute2 6.3): the text is the fact then.
        // So is it with the limits of ip-mptcp(8).
        if (tool === "tc" || text.startsWith("add_addr_accepted ")) return { ok: true, value: text };
        return { ok: false, error: `${tool} printed something that is not JSON` };
      }
    },
  };
}

/**
 * Settings are read with grep: one process for any number of files, each read in one go (a shell's `read` takes
 * byte after byte, and files under /proc/sys end after the first), absent and write-only ones passed over.
 */
function settings(netns: string | undefined, keys: readonly string[]): RenderedQuery {
  const paths = keys.map(sysctlPath);
  return {
    needs: netns === undefined ? [] : ["ip"],
    scripts: [`${inNetns(netns)}grep -s '' /dev/null ${quoteAll(paths)} </dev/null`],
    read([answer]) {
      if (!answer) return skipped;
      // 1: nothing found; 2: some file is absent. More is `ip netns exec`, or no grep.
      if (answer.status > 2) return failed("sysctl", answer);
      const lines = answer.stdout.toString("utf8").split("\n");
      const value: Record<string, string> = {};
      keys.forEach((key, index) => {
        const prefix = `${paths[index]}:`;
        const found = lines
          .filter((line) => line.startsWith(prefix))
          .map((line) => line.slice(prefix.length));
        if (found.length > 0) value[key] = found.join("\n").replaceAll(/\t+/g, " ").trim();
      });
      return { ok: true, value };
    },
  };
}

/** First which of the files are there, with their permissions; then the bytes of each as they are. */
function files(paths: readonly string[]): RenderedQuery {
  const quoted = paths.map((path) => quote(absolutePath(path)));
  const look = [
    "set --",
    ...quoted.map((path, index) => `[ -f ${path} ] && set -- "$@" ${path} && echo ${index}`),
    `[ $# = 0 ] || { echo; stat -L -c '%a %U:%G' -- "$@" </dev/null; }`,
  ].join("\n");
  return {
    needs: paths.length > 0 ? ["stat"] : [],
    scripts: [look, ...quoted.map((path) => `[ -f ${path} ] && cat -- ${path} </dev/null`)],
    read([listed, ...contents]) {
      if (!listed) return skipped;
      if (listed.status !== 0) return failed("stat", listed);
      const [there = "", modes = ""] = listed.stdout.toString("utf8").split("\n\n");
      const lines = modes.trim().split("\n");
      const value: Record<string, FileFact> = {};
      for (const [nth, index] of there.trim().split("\n").filter(Boolean).map(Number).entries()) {
        const path = paths[index];
        const content = contents[index];
        const [mode, owner] = lines[nth]?.split(" ") ?? [];
        if (path === undefined || !content || content.status !== 0 || !mode || !owner)
          return { ok: false, error: `${path} changed while it was read` };
        value[path] = { content: content.stdout.toString("utf8"), mode: mode.padStart(4, "0"), owner };
      }
      return { ok: true, value };
    },
  };
}

const skipped: Fact = { ok: false, error: "not asked: an earlier command failed" };

function failed(tool: string, answer: Answer): Fact {
  return { ok: false, error: answer.stderr || `${tool} ended with status ${answer.status}` };
}
