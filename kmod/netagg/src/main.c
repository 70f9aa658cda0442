// SPDX-License-Identifier: GPL-2.0
/*
 * netagg: one TCP connection over several network paths, by rules of each
 * network namespace. Hooks exist only where there are rules.
 */
#include <linux/module.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <net/genetlink.h>
#include <net/net_namespace.h>

#include "netagg_int.h"

unsigned int netagg_net_id;
u32 netagg_seed;

#define HOOK(name, family, function)					\
	static unsigned int name(void *priv, struct sk_buff *skb,	\
				 const struct nf_hook_state *state)	\
	{								\
		return function(skb, state, family);			\
	}

HOOK(out4, NFPROTO_IPV4, netagg_out)
HOOK(early4, NFPROTO_IPV4, netagg_early)
HOOK(late4, NFPROTO_IPV4, netagg_late)
HOOK(out6, NFPROTO_IPV6, netagg_out)
HOOK(early6, NFPROTO_IPV6, netagg_early)
HOOK(late6, NFPROTO_IPV6, netagg_late)

/*
 * Fragments are put together first, where anybody does. Connection tracking,
 * filters and address translation all see the primary path's addresses.
 */
static const struct nf_hook_ops hooks[] = {
	{ .hook = out4, .pf = NFPROTO_IPV4, .hooknum = NF_INET_LOCAL_OUT,
	  .priority = NF_IP_PRI_LAST },
	{ .hook = early4, .pf = NFPROTO_IPV4, .hooknum = NF_INET_PRE_ROUTING,
	  .priority = NF_IP_PRI_CONNTRACK_DEFRAG + 1 },
	{ .hook = late4, .pf = NFPROTO_IPV4, .hooknum = NF_INET_LOCAL_IN,
	  .priority = NF_IP_PRI_LAST },
	{ .hook = out6, .pf = NFPROTO_IPV6, .hooknum = NF_INET_LOCAL_OUT,
	  .priority = NF_IP6_PRI_LAST },
	{ .hook = early6, .pf = NFPROTO_IPV6, .hooknum = NF_INET_PRE_ROUTING,
	  .priority = NF_IP6_PRI_CONNTRACK_DEFRAG + 1 },
	{ .hook = late6, .pf = NFPROTO_IPV6, .hooknum = NF_INET_LOCAL_IN,
	  .priority = NF_IP6_PRI_LAST },
};

/* Before the first rule of a namespace. Under netagg_mutex. */
int netagg_hooks_get(struct netagg_net *nn)
{
	if (nn->nrules)
		return 0;
	return nf_register_net_hooks(nn->net, hooks, ARRAY_SIZE(hooks));
}

/* After the last one. */
void netagg_hooks_put(struct netagg_net *nn)
{
	if (!nn->nrules)
		nf_unregister_net_hooks(nn->net, hooks, ARRAY_SIZE(hooks));
}

static int __net_init netagg_init_net(struct net *net)
{
	struct netagg_net *nn = netagg_pernet(net);
	int role, i;

	nn->net = net;
	INIT_LIST_HEAD(&nn->rules);
	INIT_LIST_HEAD(&nn->sockets);
	nn->generation = 1;
	for (role = 0; role <= NETAGG_ROLE_MAX; role++)
		for (i = 0; i < NETAGG_END_BUCKETS; i++)
			INIT_HLIST_HEAD(&nn->ends[role][i]);
	return 0;
}

static void __net_exit netagg_exit_net(struct net *net)
{
	mutex_lock(&netagg_mutex);
	netagg_rules_remove(netagg_pernet(net), 0, NULL);
	mutex_unlock(&netagg_mutex);
}

static struct pernet_operations netagg_net_ops = {
	.init = netagg_init_net,
	.exit = netagg_exit_net,
	.id = &netagg_net_id,
	.size = sizeof(struct netagg_net),
};

static int __init netagg_init(void)
{
	int err;

	netagg_seed = get_random_u32();
	err = register_pernet_subsys(&netagg_net_ops);
	if (err)
		return err;
	err = netagg_netlink_init();
	if (err)
		unregister_pernet_subsys(&netagg_net_ops);
	return err;
}

static void __exit netagg_exit(void)
{
	netagg_netlink_exit();
	unregister_pernet_subsys(&netagg_net_ops);
	rcu_barrier();
}

module_init(netagg_init);
module_exit(netagg_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("One TCP connection over several network paths");
MODULE_VERSION(NETAGG_VERSION);
MODULE_ALIAS_GENL_FAMILY(NETAGG_GENL_NAME);
