export { LabError } from "./errors";
export { imageOf, type Image } from "./image";
export {
  Lab,
  defaultLab,
  labsUp,
  type CommandOptions,
  type LabHost,
  type LabOptions,
  type LabStatus,
} from "./lab";
export { dataNics, linkText, parseLink, type LabLink, type LinkEnd } from "./links";
export { cacheFolder } from "./paths";
export { pruneImages } from "./prune";
export { silent, step, type Progress } from "./progress";
export { defaultRelease, parseRelease, releases, type Release } from "./recipe";
export { savedStateOf, type SavedState } from "./snapshot";
export type { SshResult } from "./ssh";
