import { hash8 } from "../../../lib/synth";
import type { FileProps } from "../../files";

/** Where the rules are that a service loads: nft(8) reads a control group's path from text alone, not from JSON. */
export const MARKING = "/etc/netloom-slices";

interface SliceUse {
  /** Names the table and the files. */
  readonly name: string;
  /** The slice's unit, `lab-probes.slice`. */
  readonly slice: string;
  readonly mark: number;
  /** The tunnel's interface. */
  readonly dev: string;
}

/** Where a slice's control group is: a dash in its name is a level (systemd.slice(5)). */
export function cgroupOf(slice: string): { readonly level: number; readonly path: string } {
  const parts = slice.replace(/\.slice$/, "").split("-");
  const path = parts.map((_, index) => `${parts.slice(0, index + 1).join("-")}.slice`).join("/");
  return { level: parts.length, path };
}

/**
 * The nftables table of a slice. A packet gets the mark when its socket is in the slice, and is routed once more
 * (`type route`). By then the kernel has chosen a source address and a segment size for the uplink: both are put right
 * where the packet leaves by the tunnel.
 */
export function sliceRules({ name, slice, mark, dev }: SliceUse): string {
  const { level, path } = cgroupOf(slice);
  const table = `table inet ${tableName(name)}`;
  return [
    table,
    `delete ${table}`,
    `${table} {`,
    "  chain output {",
    "    type route hook output priority mangle; policy accept;",
    `    socket cgroupv2 level ${level} "${path}" meta mark set ${mark}`,
    "  }",
    "  chain fit {",
    "    type filter hook postrouting priority mangle; policy accept;",
    `    meta mark ${mark} oifname "${dev}" tcp flags syn tcp option maxseg size set rt mtu`,
    "  }",
    "  chain postrouting {",
    "    type nat hook postrouting priority srcnat; policy accept;",
    `    meta mark ${mark} oifname "${dev}" masquerade`,
    "  }",
    "}",
    "",
  ].join("\n");
}

/** A name that nft takes in its text: no dots, and a letter in front. */
const tableName = (name: string) =>
  `slice_${name.replace(/[^A-Za-z0-9_]/g, "_").slice(0, 40)}_${hash8(name)}`;

/**
 * The units and the file of a slice. The rules hold the identity of the control group as it is when they are loaded, so
 * the service goes and comes with the slice.
 */
export function sliceUnits(use: SliceUse) {
  const { name, slice, dev } = use;
  const file = `${name}.nft`;
  const rules = sliceRules(use);
  const service = `${slice.replace(/\.slice$/, "")}-tunnel.service`;
  return {
    files: { [file]: { content: rules } } satisfies Record<string, FileProps>,
    units: [
      {
        name: slice,
        content: `[Unit]\nDescription=Programs that use the tunnel ${dev}\n\n[Slice]\n`,
        state: "running",
      },
      {
        name: service,
        content: [
          "[Unit]",
          `Description=Packets of ${slice} go into ${dev}`,
          `BindsTo=${slice}`,
          `After=${slice}`,
          "",
          "[Service]",
          "Type=oneshot",
          "RemainAfterExit=yes",
          `ExecStart=nft -f ${MARKING}/${file}`,
          `ExecStop=nft delete table inet ${tableName(name)}`,
          "",
          "[Install]",
          `WantedBy=multi-user.target ${slice}`,
          "",
        ].join("\n"),
        enabled: true,
        state: "running",
        restartTriggers: { rules: hash8(rules) },
      },
    ],
  };
}
