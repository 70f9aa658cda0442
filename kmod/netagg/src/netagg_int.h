/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the module offer one another. */
#ifndef _NETAGG_INT_H
#define _NETAGG_INT_H

#include "state.h"

/* A TCP packet, once it has been looked at. */
struct netagg_packet {
	union nf_inet_addr src, dst;
	__be16 sport, dport;
	unsigned int thoff;	/* of the TCP header, from the network header */
	u32 seq;
	u32 len;		/* sequence numbers it takes up */
	u32 data;		/* bytes of payload */
	bool syn, fin, rst;
	u8 family;
};

/* rule.c */
struct netagg_rule *netagg_rule_find(struct netagg_net *nn, u8 role, u8 family,
				     const union nf_inet_addr *addr, __be16 port);
int netagg_rule_add(struct netagg_net *nn, struct netagg_rule *rule,
		    struct netagg_rule *old, const char **why);
int netagg_rule_update(struct netagg_rule *old, struct netagg_rule *from);
bool netagg_rule_same_paths(const struct netagg_rule *a,
			    const struct netagg_rule *b);
struct netagg_rule *netagg_rule_alloc(struct net *net);
void netagg_rule_free(struct netagg_rule *rule);
unsigned int netagg_rules_remove(struct netagg_net *nn, u8 role,
				 struct netagg_rule *only);
struct netagg_path *netagg_end_find(struct netagg_net *nn, u8 role, u8 family,
				    const union nf_inet_addr *addr,
				    __be16 port);
void netagg_count_sum(const struct netagg_path *path,
		      struct netagg_counters *sum);

/* flow.c */
struct netagg_flow *netagg_flow_get(struct netagg_rule *rule,
				    const union nf_inet_addr *addr,
				    __be16 port, bool create);
void netagg_flows_remove(struct netagg_rule *rule, bool idle_only);

/* packet.c */
bool netagg_parse(struct sk_buff *skb, u8 family, struct netagg_packet *p);
bool netagg_rewrite(struct sk_buff *skb, const struct netagg_packet *p,
		    bool source, const union nf_inet_addr *addr, __be16 port);
bool netagg_map_icmp(struct netagg_net *nn, struct sk_buff *skb, u8 family);
bool netagg_is_ours(struct net *net, u8 family,
		    const union nf_inet_addr *addr);
bool netagg_clamp_mss(struct sk_buff *skb, const struct netagg_packet *p,
		      u16 mss);

/* choose.c */
struct netagg_view {
	u8 alive;
	u8 best;
	const struct netagg_peer *peer;
};

#define NETAGG_SPLIT	0xff
void netagg_view(const struct netagg_rule *rule, const struct netagg_peer *peer,
		 struct netagg_view *view);
u8 netagg_choose(struct netagg_flow *flow, const struct netagg_view *view,
		 const struct netagg_packet *p, u32 bytes, bool may_split);
u32 netagg_wire_bytes(const struct sk_buff *skb, const struct netagg_packet *p,
		      u32 *packets);

/* transmit.c, receive.c */
unsigned int netagg_out(struct sk_buff *skb, const struct nf_hook_state *state,
			u8 family);
unsigned int netagg_early(struct sk_buff *skb,
			  const struct nf_hook_state *state, u8 family);
unsigned int netagg_late(struct sk_buff *skb,
			 const struct nf_hook_state *state, u8 family);
void netagg_tag(struct sk_buff *skb, u8 index, bool encap);

/* resequence.c */
void netagg_flow_rx_init(struct netagg_flow *flow);
void netagg_flow_rx_drain(struct netagg_flow *flow);
bool netagg_resequence(struct netagg_flow *flow, struct sk_buff *skb,
		       const struct netagg_packet *p, int index,
		       const struct nf_hook_state *state);

/* peer.c */
struct netagg_peer *netagg_peer_find(struct netagg_rule *rule,
				     const union nf_inet_addr *addr);
struct netagg_peer *netagg_peer_get(struct netagg_rule *rule,
				    const union nf_inet_addr *addr);
struct netagg_peer *netagg_peer_alloc(gfp_t gfp);
void netagg_peer_free(struct netagg_peer *peer);
bool netagg_peer_came_from(struct netagg_peer *peer, u8 index,
			   const union nf_inet_addr *addr, __be16 port);
void netagg_peer_comes_from(struct netagg_peer *peer, u8 index,
			    const union nf_inet_addr *addr, __be16 port);
void netagg_peers_remove(struct netagg_rule *rule, bool idle_only);
void netagg_link_heard(struct netagg_peer *peer, u8 index, u64 now);
void netagg_link_delay(struct netagg_rule *rule, struct netagg_peer *peer,
		       u8 index, u32 sent_us, u64 now);
void netagg_link_confirm(struct netagg_peer *peer, u8 index, u64 at);
void netagg_link_answer(struct netagg_peer *peer, u8 index, u32 seq, u32 rtt,
			u64 now);
u8 netagg_peer_doubted(const struct netagg_rule *rule,
		       const struct netagg_peer *peer, bool heard);
bool netagg_link_is_fresh(const struct netagg_rule *rule,
			  const struct netagg_peer *peer, u8 index, u64 now);
void netagg_peer_judge(struct netagg_rule *rule, struct netagg_peer *peer,
		       u64 now);
void netagg_peer_pace(struct netagg_peer *peer, bool idle, u64 now);
void netagg_peer_adapt(struct netagg_rule *rule, struct netagg_peer *peer,
		       u64 now);

/* socket.c */
int netagg_socket_get(struct netagg_net *nn, struct netagg_rule *rule);
void netagg_socket_put(struct netagg_net *nn, struct netagg_rule *rule);
struct dst_entry *netagg_udp_route(struct netagg_rule *rule,
				   union nf_inet_addr *from,
				   const union nf_inet_addr *to, __be16 port);
void netagg_udp_send(struct netagg_rule *rule, struct dst_entry *dst,
		     struct sk_buff *skb, const union nf_inet_addr *from,
		     const union nf_inet_addr *to, __be16 port, u8 tos,
		     bool fragment);

/* probe.c */
void netagg_probe_start(struct netagg_rule *rule);
void netagg_probe_now(struct netagg_rule *rule);
void netagg_probe_tick(struct timer_list *timer);
void netagg_message_receive(struct sock *sk, struct sk_buff *skb, u8 family);

/* encap.c */
int netagg_encap_send(struct netagg_rule *rule, struct netagg_peer *peer,
		      struct sk_buff *skb, u8 index,
		      const struct nf_hook_state *state);
void netagg_encap_receive(struct sock *sk, struct sk_buff *skb, u8 family);
u16 netagg_encap_mss(struct netagg_rule *rule, struct netagg_peer *peer);

/* read.c */
struct genl_info;
int netagg_read_paths(struct netagg_rule *rule, struct genl_info *info,
		      bool whole);
int netagg_read_options(struct netagg_options *o, struct genl_info *info);

/* netlink.c */
int netagg_netlink_init(void);
void netagg_netlink_exit(void);
void netagg_event(struct netagg_rule *rule, u8 event, int index);

/* main.c */
int netagg_hooks_get(struct netagg_net *nn);
void netagg_hooks_put(struct netagg_net *nn);

#endif /* _NETAGG_INT_H */
