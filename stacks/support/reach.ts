/** How a machine is reached, in a stack's configuration. */
export interface Reach {
  readonly address?: string;
  readonly port?: number;
  readonly user?: string;
  readonly hostKey?: string;
}
