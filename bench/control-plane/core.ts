import { openSession } from "../../lib/host";
import type { AnySpec } from "../../lib/kinds/kind";
import { link } from "../../lib/kinds/link";
import { applyObject } from "../../lib/provider/objects";
import type { LoopbackSshd } from "../support/sshd";

/** Makes the links through the provider's own create, without an engine: from the dial to the last check. */
export async function applyCore(sshd: LoopbackSshd, specs: readonly AnySpec[]): Promise<void> {
  const session = openSession(
    { name: "bench", address: "127.0.0.1", port: sshd.port, user: sshd.user, hostKey: sshd.hostKey },
    { privateKey: sshd.privateKey },
  );
  try {
    await Promise.all(
      specs.map((desired) => {
        const id = ["bench", ...link.identity(desired as Parameters<typeof link.identity>[0])].join("/");
        const target = {
          kind: link,
          id,
          urn: `urn:pulumi:bench::bench::${link.token}::${id}`,
          host: "bench",
          stack: `bench/run-${process.pid}`,
          secrets: [],
        };
        return applyObject(session, target, { desired, create: true });
      }),
    );
  } finally {
    await session.close();
  }
}
