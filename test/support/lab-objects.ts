import { openSession, type HostSession, type OpenSession } from "../../lib/host";
import type { AnyKind, AnySpec } from "../../lib/kinds/kind";
import type { Lab } from "../../lib/lab";
import { applyObject, readObject, removeObject, type Wanted } from "../../lib/provider/objects";

/** Makes, reads and removes objects on the lab's machine `edge` as the provider does, without an engine. */
export function labObjects(machines: { readonly lab: Lab }) {
  let session: OpenSession;
  beforeAll(() => {
    const { name, address, port, user, hostKey, privateKey } = machines.lab.host("edge");
    session = openSession({ name, address, port, user, hostKey }, { privateKey }, { gatherMs: 1 });
  });
  afterAll(() => session?.close());
  return objectsOn(() => session);
}

/** Makes, reads and removes objects over a session with a host `edge`. */
export function objectsOn(session: () => HostSession) {
  const parse = (kind: AnyKind, input: object) =>
    (kind.schema as { parse(of: object): AnySpec }).parse(input);
  const target = (kind: AnyKind, spec: AnySpec) => {
    const id = ["edge", ...kind.identity(spec)].join("/");
    const urn = `urn:pulumi:lab::test::${kind.token}::${id}`;
    return { kind, id, urn, host: "edge", stack: "test/lab", secrets: [] };
  };
  /** Makes an object; tells how many steps it took. */
  const apply = async (kind: AnyKind, input: object, more: Partial<Wanted> = {}): Promise<number> => {
    const spec = parse(kind, input);
    const wanted = { desired: spec, create: false, ...more };
    return (await applyObject(session(), target(kind, spec), wanted)).steps;
  };
  const read = async (kind: AnyKind, input: object): Promise<AnySpec | undefined> => {
    const spec = parse(kind, input);
    return (await readObject(session(), target(kind, spec), spec)).state;
  };
  const remove = async (kind: AnyKind, input: object) => {
    const spec = parse(kind, input);
    return (await removeObject(session(), target(kind, spec), { spec, deleteAdopted: false })).removal;
  };
  return { apply, read, remove };
}
