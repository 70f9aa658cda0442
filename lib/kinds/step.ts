/**
 * What is read from a host and what is done to it, as data. A query or a step is a tool and an argument
 * vector, never a shell string: the host session alone knows how to run it, and nothing a user types can
 * become a command.
 */

/** A read-only look at the host. Queries that are equal are run once for all the resources that ask. */
export type Query =
  /**
   * `ip -j …` or `tc -j …` in a namespace; the fact is the parsed JSON, or the text of what tc cannot say in JSON.
   */
  | { readonly tool: "ip" | "tc"; readonly netns?: string; readonly args: readonly string[] }
  /** `nft -j list …`; the fact is the parsed JSON. */
  | { readonly tool: "nft"; readonly netns?: string; readonly args: readonly string[] }
  /** Kernel settings by `/`-separated key (`net/ipv4/ip_forward`); the fact is `Record<key, value>`, absent keys left out. */
  | { readonly tool: "sysctl"; readonly netns?: string; readonly keys: readonly string[] }
  /** Regular files by absolute path; the fact is `Record<path, FileFact>`, absent files left out. */
  | { readonly tool: "file"; readonly paths: readonly string[] }
  /** `bpftool -j …` (bpftool(8)) in a namespace, with the host's own file systems; the fact is the parsed JSON. */
  | { readonly tool: "bpftool"; readonly netns?: string; readonly args: readonly string[] }
  /** What is pinned below a folder of `/sys/fs/bpf/netloom`; the fact is {@link PinsFact}. */
  | { readonly tool: "bpf-pins"; readonly path: string }
  /** SHA-256 of files by absolute path; the fact is `Record<path, hexadecimal digits>`, absent files left out. */
  | { readonly tool: "sha256sum"; readonly paths: readonly string[] }
  /**
   * Where symbolic links lead, by absolute path; the fact is `Record<path, target>`, empty text for what is there and is
   * no link, and what is absent left out.
   */
  | { readonly tool: "readlink"; readonly paths: readonly string[] }
  /** The C compiler's name and version; the fact is text, empty where there is none. */
  | { readonly tool: "cc"; readonly args: readonly ["--version"] }
  /** A kernel module by name, as it is loaded and installed; the fact is {@link ModuleFact}. */
  | { readonly tool: "kernel-module"; readonly args: readonly [module: string] }
  /**
   * Rules of the module netagg in a namespace, as its tool lists them: the fact is the parsed JSON, an empty list where
   * the module is not loaded.
   */
  | { readonly tool: "netagg"; readonly netns?: string; readonly args: readonly ["-L"] }
  /** `systemctl show …`; the fact is `Record<property, text>`. A unit that is not there has `LoadState=not-found`. */
  | { readonly tool: "systemctl"; readonly args: readonly string[] }
  /**
   * Distribution packages by name; the fact is `Record<name, { state, version }>` with dpkg-query(1)'s
   * `db:Status-Abbrev`, such as `ii `; packages that dpkg never heard of are left out.
   */
  | { readonly tool: "dpkg-query"; readonly args: readonly string[] };

/** One regular file as a `file` query finds it. */
export interface FileFact {
  /** UTF-8 text. */
  readonly content: string;
  /** Permission bits in octal, such as `"0644"`. */
  readonly mode: string;
  /** Owner and group, such as `"root:root"`. */
  readonly owner: string;
}

/** Programs and maps that are pinned below one folder, in folders of which `current` names one. */
export interface PinsFact {
  /** What the link `current` says; absent where there is none. */
  readonly current?: string;
  /** The folders that are there, in use or not. */
  readonly versions: readonly string[];
  /** `bpftool -j prog show` of each program in `current/programs`, by pin. */
  readonly programs: Readonly<Record<string, unknown>>;
  /** `bpftool -j map show` of each map in `current/maps`, by pin. */
  readonly maps: Readonly<Record<string, unknown>>;
  /** `bpftool -j btf dump` of one of the programs. */
  readonly btf?: unknown;
}

/** A kernel module as a `kernel-module` query finds it. */
export interface ModuleFact {
  /** The running kernel's release, as `uname -r` prints it. */
  readonly release: string;
  /** SHA-256 of the file that is installed for the running kernel in our folder; absent where there is none. */
  readonly installed?: string;
  /** Whether the host has DKMS, versions of it that are registered there, and those installed for the running kernel. */
  readonly dkms: {
    readonly isThere: boolean;
    readonly added: readonly string[];
    readonly installed: readonly string[];
  };
  /** Absent where no module of the name is loaded. */
  readonly loaded?: {
    /** Whether it is the one that modprobe(8) would load. */
    readonly isInstalled: boolean;
    /** How often it is held: by connections, rules, other modules. */
    readonly references: number;
    /** Parameters that can be read, as `/sys/module/NAME/parameters` has them. */
    readonly parameters: Readonly<Record<string, string>>;
  };
}

/** What one query found. A tool that fails (no such namespace, no such table) is a fact too. */
export type Fact =
  { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: string };

/** Everything that was found, by query. */
export interface Facts {
  /** @throws when the query was not among those asked for: that is a mistake in a kind, not of a user. */
  get(query: Query): Fact;
}

/** One change on the host. */
export type Step =
  /**
   * One line of `ip -batch` or `tc -batch`, fed on standard input so that no argument shows up in a process
   * list. An argument may hold letters, digits and `_.:/@%+,=-` only. `family: 6` is `ip -6`: `ip rule` takes
   * the family from nothing else. `force` is `ip -force`: an XDP program takes the place of another at once. Lines
   * that name a pin below `/sys` are run with the host's own file systems, which `ip -n` would hide.
   */
  | {
      readonly tool: "ip" | "tc";
      readonly netns?: string;
      readonly family?: 6;
      readonly force?: true;
      readonly args: readonly string[];
    }
  /** One nftables transaction in libnftables-json(5) form: data, not syntax. */
  | { readonly tool: "nft"; readonly netns?: string; readonly commands: readonly object[] }
  /** Kernel settings by `/`-separated key. */
  | { readonly tool: "sysctl"; readonly netns?: string; readonly values: Readonly<Record<string, string>> }
  /** One line of `bpftool batch`, with arguments as those of `ip -batch`. */
  | { readonly tool: "bpftool"; readonly args: readonly string[] }
  /** A folder for pins below `/sys/fs/bpf/netloom`; the bpf file system is mounted where it is not. */
  | { readonly tool: "bpf-mkdir"; readonly path: string }
  /**
   * A folder of pins, or one pin, removed with all that is in it; with `keep`, all that is in the folder but that.
   * What is attached stays loaded.
   */
  | { readonly tool: "bpf-rm"; readonly path: string; readonly keep?: readonly string[] }
  /** A link's clsact qdisc removed, if there is no filter left in it. */
  | { readonly tool: "clsact-del"; readonly netns?: string; readonly link: string }
  /** A symbolic link to a folder beside it, put in the place of an earlier one at once. */
  | { readonly tool: "bpf-ln"; readonly target: string; readonly path: string }
  /** Every entry of one pinned map written to another with keys and values of the same size. */
  | { readonly tool: "bpf-copy"; readonly from: string; readonly to: string }
  /**
   * Sources compiled by clang(1) or cc(1) in a folder of their own; `args` names what is compiled, and `-o` is added.
   * What comes out is moved into place when it is whole, then the record: its SHA-256 and the compiler's version, a
   * line each.
   */
  | {
      readonly tool: "clang" | "cc";
      readonly files: Readonly<Record<string, string>>;
      readonly args: readonly string[];
      readonly object: string;
      readonly record: string;
      /** Built on the machine that the provider runs on, and copied: the host needs no compiler. */
      readonly here?: true;
    }
  /** A file of any bytes, in base64, moved into place when it is whole; missing folders are made. Then its record. */
  | {
      readonly tool: "install";
      readonly content: string;
      readonly path: string;
      readonly record: { readonly path: string; readonly text: string };
    }
  /**
   * A module of the running kernel built from its sources, among them a Kbuild file (Documentation/kbuild/modules.rst),
   * and signed where keys are given. The record is that of `cc`, with the kernel's release as its third line.
   */
  | {
      readonly tool: "kbuild";
      readonly files: Readonly<Record<string, string>>;
      readonly module: string;
      readonly object: string;
      readonly record: string;
      readonly sign?: { readonly key: string; readonly certificate: string };
    }
  /**
   * A module installed for the running kernel and loaded by modprobe(8), in the place of the one that is loaded. What
   * the executable of `keep` writes of its state in each network namespace is given back to it afterwards. Where the
   * new one does not load, the one before is loaded again; one whose signature or version the kernel does not take is
   * refused before anything else happens. A module of which the record tells of another kernel is there by DKMS.
   */
  | {
      readonly tool: "module-load";
      readonly module: string;
      readonly object: string;
      readonly keep?: ModuleKeeper;
    }
  /**
   * Sources that DKMS, where the host has it, builds for each new kernel, in the place of those that were registered
   * before; none without a version.
   */
  | {
      readonly tool: "module-dkms";
      readonly module: string;
      readonly version?: string;
      readonly files?: Readonly<Record<string, string>>;
    }
  /** A module taken out of the kernel; refused while it is in use. */
  | { readonly tool: "module-unload"; readonly module: string }
  /** A module removed from where it was installed, for every kernel. */
  | { readonly tool: "module-remove"; readonly module: string }
  /** A file, written whole and moved into place; missing folders are made. */
  | { readonly tool: "write"; readonly path: string; readonly file: FileFact }
  /** A file removed; folders that this leaves empty stay unless named in `prune` (innermost first). */
  | { readonly tool: "remove"; readonly path: string; readonly prune?: readonly string[] }
  /**
   * A symbolic link to a file `FOLDER/VERSION/NAME`, in the place of an earlier one to another version of it at once;
   * refused where anything else is. Missing folders are made.
   */
  | { readonly tool: "symlink"; readonly path: string; readonly target: string }
  /** The tool of the module netagg, as it was built on the host. */
  | { readonly tool: "netagg"; readonly netns?: string; readonly args: readonly string[] }
  /** Any other tool, with its arguments as they are. */
  | { readonly tool: "ethtool" | "modprobe"; readonly netns?: string; readonly args: readonly string[] }
  /** The service manager, the package managers: run without a terminal, and without a question to anybody. */
  | { readonly tool: "systemctl" | "apt-get" | "dpkg"; readonly args: readonly string[] };

/** An executable that knows the state of a module: its arguments to write it out, to drop it and to read it back. */
export interface ModuleKeeper {
  readonly executable: string;
  readonly save: readonly string[];
  readonly clear: readonly string[];
  readonly restore: readonly string[];
}

/** The same text for equal queries, whatever the order of their keys. */
export function queryKey(query: Query): string {
  const netns = "netns" in query ? (query.netns ?? "") : "";
  const rest =
    "args" in query
      ? query.args
      : "keys" in query
        ? query.keys
        : "paths" in query
          ? query.paths
          : [query.path];
  return JSON.stringify([query.tool, netns, ...rest]);
}
