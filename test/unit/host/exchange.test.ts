import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { bpfPreamble } from "../../../lib/host/bpf-tools";
import { buildPreamble } from "../../../lib/host/build-tools";
import {
  answers,
  type Command,
  FrameReader,
  framingPreamble,
  renderExchange,
} from "../../../lib/host/exchange";
import { lockPreamble } from "../../../lib/host/lock";
import { modulePreamble } from "../../../lib/host/module-tools";
import { netaggPreamble } from "../../../lib/host/netagg-tool";
import { stepPreamble } from "../../../lib/host/render-step";

const nonce = "nl0123456789abcdef";

/** Runs an exchange through a real shell and cuts its streams into pieces of the given sizes. */
function through(commands: readonly Command[], cuts: readonly number[] = [], prelude = "") {
  const script = `${framingPreamble(nonce)}\n${prelude}\n${renderExchange(7, commands)}`;
  const { stdout, stderr } = spawnSync("sh", { input: script });
  return [stdout, stderr].map((bytes) => {
    const reader = new FrameReader(nonce, 7);
    const pieces: boolean[] = [];
    let at = 0;
    for (const cut of [...cuts, bytes.length]) {
      if (at >= bytes.length) break;
      pieces.push(reader.push(bytes.subarray(at, at + Math.max(1, cut))));
      at += Math.max(1, cut);
    }
    return { reader, ended: pieces.filter(Boolean).length, last: pieces.at(-1) };
  });
}

const read = (commands: readonly Command[], cuts?: readonly number[], prelude?: string) => {
  const [out, err] = through(commands, cuts, prelude);
  return answers(out!.reader, err!.reader, commands.length);
};

test("each command's output, error text and status come back apart", () => {
  const found = read([
    { script: "printf 'no newline'; echo oops >&2; (exit 3)" },
    { script: ":" },
    { script: "printf '\\n\\nlines\\n\\n'" },
  ]);
  expect(found.map((answer) => [answer?.status, answer?.stdout.toString(), answer?.stderr])).toEqual([
    [3, "no newline", "oops"],
    [0, "", ""],
    [0, "\n\nlines\n\n", ""],
  ]);
});

test("after a vital command has failed, guarded ones are skipped and the others run", () => {
  const found = read([
    { script: "true", guarded: true, vital: true },
    { script: "false", guarded: true, vital: true },
    { script: "echo never", guarded: true },
    { script: "echo always" },
  ]);
  expect(found.map((answer) => answer?.status)).toEqual([0, 1, undefined, 0]);
  expect(found[3]?.stdout.toString()).toBe("always\n");
});

test("what was printed before, and what looks like a marker, is not taken for an answer", () => {
  const imitation = "printf '\\nnl0123456789abcdeX 7 0 0\\n\\nnl0123456789abcdef 6 0 9\\n'";
  const found = read([{ script: imitation }], [], "echo motd; echo motd >&2");
  expect(found[0]?.stdout.toString()).toBe("\nnl0123456789abcdeX 7 0 0\n\nnl0123456789abcdef 6 0 9\n");
  expect(found[0]).toMatchObject({ status: 0, stderr: "" });
});

test("the end is seen once, however the stream is cut", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 30 }), (cuts) => {
      for (const { ended, last } of through([{ script: "echo hello; echo world >&2" }], cuts)) {
        expect(ended).toBe(1);
        expect(last).toBe(true);
      }
    }),
    { numRuns: 25 },
  );
});

test("an exchange of which only the beginning arrives runs nothing at all", () => {
  const whole = `${framingPreamble(nonce)}\n${renderExchange(1, [{ script: "echo ran" }, { script: "cat <<'E'\nran\nE" }])}`;
  for (let length = whole.indexOf("{\nnl_exchange=1") + 1; length < whole.length - 3; length += 1) {
    const ran = spawnSync("sh", { input: whole.slice(0, length) }).stdout.toString();
    expect(ran).not.toContain("ran");
  }
});

test("what follows the last marker is the connection's own word", () => {
  const reader = new FrameReader(nonce, 7);
  reader.push(
    Buffer.from(`noise\n\n${nonce} 7 begin 0\nerror of a command\n${nonce} 7 0 1\nclient_loop: gone\n`),
  );
  expect(reader.unframed()).toBe("client_loop: gone\n");
});

test("nothing that a shell is taught takes the words that tell answers apart", () => {
  for (const preamble of [
    stepPreamble,
    bpfPreamble,
    buildPreamble,
    modulePreamble,
    netaggPreamble,
    lockPreamble,
  ])
    expect(preamble).not.toMatch(/\bnl_(framed_by|exchange|status|failed|mark)\b/);
});
