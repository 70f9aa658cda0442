import { attachment } from "../kinds/bpf/attachment";
import { mapEntries } from "../kinds/bpf/map-entries";
import { object } from "../kinds/bpf/object";
import { program } from "../kinds/bpf/program";
import { tunnels } from "../kinds/geneve-mux";
import { resourceOf } from "./resource";

/** A program attached to a link. */
export class Attachment extends resourceOf(attachment) {}

/** Entries of a map. */
export class MapEntries extends resourceOf(mapEntries) {}

/** An object built from sources. */
class BpfObject extends resourceOf(object) {}
export { BpfObject as Object };

/** The programs of an object, loaded and pinned. */
export class Program extends resourceOf(program) {}

/** The tunnels of a GeneveMux. */
export class Tunnels extends resourceOf(tunnels) {}
