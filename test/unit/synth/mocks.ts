import * as pulumi from "@pulumi/pulumi";
import { MockMonitor } from "@pulumi/pulumi/runtime/mocks";
import * as settings from "@pulumi/pulumi/runtime/settings";

// Not in the SDK's types.
const { waitForRPCs } = settings as unknown as { waitForRPCs: () => Promise<void> };

/** One resource as Pulumi was told of it. */
export interface Registered {
  readonly type: string;
  readonly name: string;
  readonly inputs: Readonly<Record<string, unknown>>;
  /** URNs of the engine's request, which the SDK works out from parents, dependencies and so on. */
  readonly request: {
    readonly parent: string;
    readonly dependencies: readonly string[];
    readonly deletedWith: string;
    readonly replaceWith: readonly string[];
    readonly provider: string;
    readonly protect: boolean;
    readonly retainOnDelete: boolean;
  };
}

const SECRET = "1b47061264138c4ac30d75fd1eb44270";

/** Whether an input reached the engine as a secret. */
export function isSecret(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.values(value).includes(SECRET);
}

/** What is read of the message that registers a resource. */
interface Request {
  getType(): string;
  getName(): string;
  getParent(): string;
  getDependenciesList(): string[];
  getDeletedwith(): string;
  getReplaceWithList(): string[];
  getProvider(): string;
  getProtect(): boolean;
  getRetainondelete(): boolean;
}

/** Runs a program against Pulumi's mocks and returns what it registered, in order. */
export async function registered(
  program: () => unknown,
  { config = {}, stack = "test" }: { config?: Record<string, string>; stack?: string } = {},
): Promise<{ resources: Registered[]; result: unknown }> {
  const requests: Request[] = [];
  const inputs = new Map<string, Record<string, unknown>>();
  // The mocks keep parents and dependencies to themselves, so they are read off the message itself.
  // eslint-disable-next-line @typescript-eslint/unbound-method -- it is called with the monitor below
  const real = MockMonitor.prototype.registerResource;
  const spy = jest.spyOn(MockMonitor.prototype, "registerResource").mockImplementation(function (
    this: MockMonitor,
    request: Request,
    callback: (error: unknown, response: unknown) => void,
  ) {
    requests.push(request);
    return real.call(this, request, callback);
  });
  try {
    await pulumi.runtime.setMocks(
      {
        newResource: ({ type, name, inputs: given }) => {
          inputs.set(`${type} ${name}`, given as Record<string, unknown>);
          return { id: `id:${name}`, state: given };
        },
        call: () => ({}),
      },
      "netloom",
      stack,
      false,
    );
    pulumi.runtime.setAllConfig(
      config,
      Object.keys(config).filter((key) => /key/i.test(key)),
    );
    const failures: unknown[] = [];
    const result: unknown = await pulumi.runtime.runInPulumiStack(async () => {
      try {
        return await program();
      } catch (error) {
        failures.push(error);
        return undefined;
      }
    });
    await waitForRPCs();
    if (failures.length > 0) throw failures[0];
    const resources = requests.map((request) => ({
      type: request.getType(),
      name: request.getName(),
      inputs: inputs.get(`${request.getType()} ${request.getName()}`) ?? {},
      request: {
        parent: request.getParent(),
        dependencies: request.getDependenciesList(),
        deletedWith: request.getDeletedwith(),
        replaceWith: request.getReplaceWithList(),
        provider: request.getProvider(),
        protect: request.getProtect(),
        retainOnDelete: request.getRetainondelete(),
      },
    }));
    return { resources, result };
  } finally {
    spy.mockRestore();
  }
}

/** The name in a URN. */
export function nameOf(urn: string): string {
  return urn.slice(urn.lastIndexOf("::") + 2);
}
