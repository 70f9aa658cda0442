import { executableDigest, executablePath } from "../../lib/kinds/executable";

/**
 * A small kernel module for tests of a module's life: it keeps a line of text in /proc/net for each network namespace.
 * `+` holds the module, and `=` lets go of it.
 */

/** How the module is to differ. */
export interface NoteVariant {
  /** Told by /proc/NAME_version; another number makes another version. */
  readonly version?: number;
  /** C of its own at the end of the initialisation. */
  readonly code?: string;
  /** Whether what it knows is carried over to another version, by {@link keeper}. */
  readonly keep?: boolean;
}

const source = (name: string, code: string) => `// SPDX-License-Identifier: GPL-2.0
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/uaccess.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>
#include "version.h"

static bool loud;
module_param(loud, bool, 0444);
static unsigned int note_id;
struct note { char text[64]; size_t length; };

static ssize_t note_read(struct file *file, char __user *to, size_t count, loff_t *at)
{
	struct note *note = pde_data_of(file);
	return simple_read_from_buffer(to, count, at, note->text, note->length);
}

static ssize_t note_write(struct file *file, const char __user *from, size_t count, loff_t *at)
{
	struct note *note = pde_data_of(file);
	size_t length = min(count, sizeof(note->text));
	if (copy_from_user(note->text, from, length))
		return -EFAULT;
	if (note->text[0] == '+')
		__module_get(THIS_MODULE);
	if (note->text[0] == '=')
		module_put(THIS_MODULE);
	note->length = strchr("-+=", note->text[0]) ? 0 : length;
	return count;
}

static const struct proc_ops note_ops = { .proc_read = note_read, .proc_write = note_write };

static int __net_init note_init_net(struct net *net)
{
	return proc_create_data("${name}", 0600, net->proc_net, &note_ops, net_generic(net, note_id)) ? 0 : -ENOMEM;
}

static void __net_exit note_exit_net(struct net *net)
{
	remove_proc_entry("${name}", net->proc_net);
}

static struct pernet_operations note_net_ops = {
	.init = note_init_net, .exit = note_exit_net, .id = &note_id, .size = sizeof(struct note),
};

static int version = VERSION;
module_param(version, int, 0444);

static int __init note_init(void)
{
	${code}
	return register_pernet_subsys(&note_net_ops);
}

static void __exit note_exit(void)
{
	unregister_pernet_subsys(&note_net_ops);
}

module_init(note_init);
module_exit(note_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Keeps a note for each network namespace");
`;

const header = (version: number) => `#define VERSION ${version}
#include <linux/version.h>
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 17, 0)
#define pde_data_of(file) pde_data(file_inode(file))
#else
#define pde_data_of(file) PDE_DATA(file_inode(file))
#endif
`;

/** The inputs of a system:Executable that writes the notes out, drops them and reads them back. */
export const keeper = (name: string) => ({
  name: `${name}-keeper`,
  units: ["keeper.c"],
  sources: {
    "keeper.c": `#include <stdio.h>
#include <string.h>
int main(int argc, char **argv)
{
	char text[64] = "-";
	FILE *note = fopen("/proc/net/${name}", strcmp(argv[1], "save") ? "w" : "r");
	if (argc != 2 || !note)
		return 1;
	if (!strcmp(argv[1], "save"))
		return fgets(text, sizeof(text), note) && fputs(text, stdout) < 0;
	if (!strcmp(argv[1], "restore") && !fgets(text, sizeof(text), stdin))
		return 1;
	return fputs(text, note) < 0 || fclose(note);
}
`,
  },
});

/** The inputs of a kernel:Module of it. */
export function noteModule(name: string, { version = 1, code = "", keep = true }: NoteVariant = {}) {
  const tool = keeper(name);
  return {
    name,
    units: [`src/${name}.c`],
    sources: { [`src/${name}.c`]: source(name, code), "src/version.h": header(version) },
    flags: ["-DNLT"],
    ...(keep && {
      keep: {
        executable: executablePath(tool.name, executableDigest(tool)),
        save: ["save"],
        clear: ["clear"],
        restore: ["restore"],
      },
    }),
  };
}
