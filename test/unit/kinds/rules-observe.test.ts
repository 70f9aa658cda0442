import { rules } from "../../../lib/kinds/rules";
import { observesWhatWasRecorded } from "../../support/recorded";

describe.each(["observe", "debian-11", "debian-13"])("what a real host printed is read (%s)", (folder) => {
  observesWhatWasRecorded(rules, `rules/${folder}`);
});
