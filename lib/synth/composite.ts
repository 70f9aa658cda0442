import type { IConstruct } from "constructs";
import { Construct } from "constructs";
import type { Finding } from "../kinds/kind";

const FINDINGS = Symbol.for("netloom.synth.findings");
const OUTPUTS = Symbol.for("netloom.synth.outputs");

type Hooked = IConstruct & {
  [FINDINGS]?: () => readonly Finding[];
  [OUTPUTS]?: () => Readonly<Record<string, unknown>>;
};

/**
 * Lets a construct check its own props. The function runs once, when the tree is complete, and reports with the
 * names of the construct's props; it must not throw.
 */
export function addFindings(construct: IConstruct, findings: () => readonly Finding[]): void {
  const hooked = construct as Hooked;
  const earlier = hooked[FINDINGS];
  const value = earlier === undefined ? findings : () => [...earlier(), ...findings()];
  Object.defineProperty(construct, FINDINGS, { value, enumerable: false, configurable: true });
}

/** What a construct says is wrong with its own props. */
export function findingsOf(construct: IConstruct): readonly Finding[] {
  return (construct as Hooked)[FINDINGS]?.() ?? [];
}

/** What a composite gives the stack's author besides the ids of what is inside. */
export function outputsOf(construct: IConstruct): Readonly<Record<string, unknown>> | undefined {
  return (construct as Hooked)[OUTPUTS]?.();
}

/**
 * A construct made of others. It becomes a Pulumi component `netloom:construct:<ClassName>` that holds what is
 * inside; nothing on a host belongs to it alone.
 */
export class Composite extends Construct {
  constructor(scope: Construct, id: string) {
    super(scope, id);
    Object.defineProperty(this, OUTPUTS, { value: () => this.outputs(), enumerable: false });
  }

  /** Outputs of the component, shown by `App.deploy()` under the construct's path. */
  protected outputs(): Readonly<Record<string, unknown>> | undefined {
    return undefined;
  }
}
