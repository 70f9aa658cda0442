import { namespace } from "../../../lib/kinds/namespace";
import { observesWhatWasRecorded } from "../../support/recorded";

describe.each(["observe"])("what a real host printed is read (%s)", (folder) => {
  observesWhatWasRecorded(namespace, `namespace/${folder}`);
});
