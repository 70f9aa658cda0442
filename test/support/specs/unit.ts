import * as fc from "fast-check";
import type { z } from "zod";
import type { unit } from "../../../lib/kinds/unit";

type Input = z.input<typeof unit.schema>;

const INSTALL = "[Install]\nWantedBy=multi-user.target\n";

/** A service that runs until it is stopped, told apart by a word. */
const service = (word: string) =>
  `[Unit]\nDescription=${word}\n[Service]\nExecStart=/bin/sleep infinity\n${INSTALL}`;

/** Specs of one service that a program writes itself. */
export function unitSpecs(name: string): fc.Arbitrary<Input> {
  const word = fc.constantFrom("one", "two");
  const dropIn = word.map((text) => `[Service]\nEnvironment=WORD=${text}\n`);
  return fc.record(
    {
      name: fc.constant(name),
      content: word.map(service),
      dropIns: fc.dictionary(fc.constantFrom("10-a.conf", "20-b.conf"), dropIn, { maxKeys: 2 }),
      enabled: fc.boolean(),
      state: fc.constantFrom("running" as const, "stopped" as const),
      restartTriggers: fc.dictionary(fc.constantFrom("conf", "plans"), word, { maxKeys: 2 }),
    },
    { requiredKeys: ["name", "content"] },
  );
}
