import { RootConstruct } from "constructs";
import type { Input } from "./intent";
import type { Deployed } from "./register";
import { register } from "./register";
import { resolve } from "./resolve";

/** What an app takes: only what concerns the whole program. */
export interface AppProps {
  /**
   * PEM text of the private key for hosts without one of their own. It goes to the provider's configuration,
   * as a secret, and never into a resource.
   * @default - the stack's `netloom:privateKey`, else the user's ssh configuration and agent
   */
  readonly privateKey?: Input<string>;
  /**
   * Deletes resources of hosts that cannot be reached any more from the state alone.
   * @default - the stack's `netloom:deleteUnreachable`, else false: a host that does not answer is an error
   */
  readonly deleteUnreachable?: boolean;
  /**
   * Folder on the hosts for the ledger of what is ours.
   * @default - the stack's `netloom:stateDirectory`, else "/var/lib/netloom"
   */
  readonly stateDirectory?: string;
}

/**
 * The root of a program. Constructs are made inside it; nothing is registered until {@link App.deploy}, so that
 * the whole program can be checked first.
 *
 * @example
 * const app = new App();
 * const edge = new Host(app, "edge", { address: "192.0.2.1" });
 * new Namespace(edge, "lan1");
 * export const outputs = app.deploy();
 */
export class App extends RootConstruct {
  readonly #props: AppProps;
  #deployed = false;

  constructor(props: AppProps = {}) {
    super();
    this.#props = props;
  }

  /**
   * Checks the whole program and registers it with Pulumi. Returns the ids of the objects and the outputs of the
   * composites by construct path.
   *
   * @throws ValidationError with everything that is wrong with the program; nothing is registered then
   */
  deploy(): Deployed {
    if (this.#deployed)
      throw new Error("App.deploy() was called twice; call it once, at the end of the program");
    this.#deployed = true;
    return register(resolve(this), this.#props);
  }
}
