import { routes } from "../../../lib/kinds/routes";
import { observesWhatWasRecorded } from "../../support/recorded";

describe.each(["observe", "debian-11", "debian-13"])("what a real host printed is read (%s)", (folder) => {
  observesWhatWasRecorded(routes, `routes/${folder}`);
});
