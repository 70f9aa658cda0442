import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { PrivateFolder } from "../../../lib/host/private-folder";

const place = mkdtempSync(join(tmpdir(), "nlt-p-"));
const before = process.env["XDG_RUNTIME_DIR"];

beforeAll(() => {
  process.env["XDG_RUNTIME_DIR"] = place;
});

afterAll(() => {
  if (before === undefined) delete process.env["XDG_RUNTIME_DIR"];
  else process.env["XDG_RUNTIME_DIR"] = before;
  rmSync(place, { recursive: true });
});

test("a file in it is for this user alone, is written anew each time, and goes with the folder", () => {
  const folder = new PrivateFolder();
  const path = folder.write("identity", "a");
  folder.write("identity", "b");
  expect(dirname(dirname(path))).toBe(place);
  expect([statSync(path).mode & 0o777, statSync(folder.path).mode & 0o777]).toEqual([0o600, 0o700]);
  folder.remove("identity");
  expect([existsSync(path), existsSync(folder.path)]).toEqual([false, true]);
  const was = folder.path;
  folder.remove();
  expect(existsSync(was)).toBe(false);
});

test("what a killed process left goes once it is old, and nothing else does", () => {
  const { pid: dead } = spawnSync("true");
  const old = new Date(Date.now() - 2 * 3_600_000);
  const make = (name: string, time?: Date) => {
    mkdirSync(join(place, name));
    if (time) utimesSync(join(place, name), time, time);
    return join(place, name);
  };
  const stale = make(`netloom-${dead}-abcdef`, old);
  const kept = [
    make(`netloom-${dead}-abcdeg`),
    make(`netloom-${process.pid}-abcdef`, old),
    make("netloom-other", old),
    make(`x-netloom-${dead}-abcdef`, old),
  ];
  const folder = new PrivateFolder();
  expect(existsSync(folder.path)).toBe(true);
  expect(existsSync(stale)).toBe(false);
  expect(kept.filter(existsSync)).toEqual(kept);
  folder.remove();
});

test("a place too long for a socket's path is passed over", () => {
  const long = join(place, "x".repeat(60));
  mkdirSync(long);
  process.env["XDG_RUNTIME_DIR"] = long;
  const folder = new PrivateFolder();
  expect(folder.path.startsWith(long)).toBe(false);
  folder.remove();
  process.env["XDG_RUNTIME_DIR"] = place;
});
