import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder of this test file's own, gone after its last test. */
export function temporaryFolder(): { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "netloom-test-"));
  afterAll(() => rmSync(path, { recursive: true, force: true }));
  return { path };
}
