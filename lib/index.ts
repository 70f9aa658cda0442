/**
 * Netloom: Linux network data planes as code. Constructs describe what is wanted, `App.deploy()` checks the whole
 * program and hands it to Pulumi.
 */
export * from "../constructs";
export {
  App,
  Composite,
  KernelObject,
  Testing,
  ValidationError,
  addFindings,
  definePlace,
  interfaceName,
  placeOf,
  type AppProps,
  type Deployed,
  type HostRef,
  type Input,
  type Inputs,
  type Intent,
  type IPlace,
  type KernelObjectProps,
  type LifecycleProps,
  type Place,
  type PlannedResource,
  type PropertyPath,
  type TreeFinding,
  type TreeView,
} from "./synth";
