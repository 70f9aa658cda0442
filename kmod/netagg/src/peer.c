// SPDX-License-Identifier: GPL-2.0
/* What is known of the paths to the other end, and which of them are used. */
#include <linux/slab.h>

#include "netagg_int.h"

#define WINDOW_US	250000		/* of delays */
#define WAIT_US		500000		/* confirmed so long, a path returns */
#define MAX_WAIT_US	30000000	/* for one that came and went */
#define RTT_WINDOW_US	10000000
#define MARGIN_US	10000
#define IDLE_DEAD_US	1000000
#define WAKE_US		500000		/* until probes that come quickly tell */
#define PEER_IDLE_US	30000000

struct netagg_peer *netagg_peer_alloc(gfp_t gfp)
{
	struct netagg_peer *peer = kzalloc(sizeof(*peer), gfp);
	int i;

	if (!peer)
		return NULL;
	spin_lock_init(&peer->lock);
	peer->alive = 1;
	peer->hold_us = MARGIN_US;
	peer->busy_since = netagg_now();
	for (i = 0; i < NETAGG_MAX_PATHS; i++)
		peer->link[i].wait_us = WAIT_US;
	return peer;
}

/* Of a peer that nothing can find any more. */
void netagg_peer_free(struct netagg_peer *peer)
{
	int i;

	for (i = 0; peer && i < NETAGG_MAX_PATHS; i++)
		kfree(rcu_dereference_protected(peer->link[i].outer, true));
	kfree(peer);
}

static void free_peer(struct rcu_head *head)
{
	netagg_peer_free(container_of(head, struct netagg_peer, rcu));
}

/* Under rcu_read_lock(). */
bool netagg_peer_came_from(struct netagg_peer *peer, u8 index,
			   const union nf_inet_addr *addr, __be16 port)
{
	const struct netagg_outer *outer =
		rcu_dereference(peer->link[index].outer);

	return outer && outer->port == port &&
	       !memcmp(&outer->addr, addr, sizeof(*addr));
}

/* Where there is no memory the old one stays, for a probe's time. */
void netagg_peer_comes_from(struct netagg_peer *peer, u8 index,
			    const union nf_inet_addr *addr, __be16 port)
{
	struct netagg_outer *outer, *old;

	if (netagg_peer_came_from(peer, index, addr, port))
		return;
	outer = kmalloc(sizeof(*outer), GFP_ATOMIC);
	if (!outer)
		return;
	outer->addr = *addr;
	outer->port = port;
	spin_lock_bh(&peer->lock);
	old = rcu_dereference_protected(peer->link[index].outer,
					lockdep_is_held(&peer->lock));
	rcu_assign_pointer(peer->link[index].outer, outer);
	spin_unlock_bh(&peer->lock);
	if (old)
		kfree_rcu(old, rcu);
}

static struct hlist_head *peer_bucket(struct netagg_rule *rule,
				      const union nf_inet_addr *addr)
{
	return &rule->peers[netagg_hash(rule->family, addr, 0) %
			    NETAGG_PEER_BUCKETS];
}

/* Under rcu_read_lock(). */
struct netagg_peer *netagg_peer_find(struct netagg_rule *rule,
				     const union nf_inet_addr *addr)
{
	struct netagg_peer *peer;

	hlist_for_each_entry_rcu(peer, peer_bucket(rule, addr), node,
				 lockdep_is_held(&rule->lock))
		if (netagg_addr_equal(rule->family, &peer->addr, addr))
			return peer;
	return NULL;
}

struct netagg_peer *netagg_peer_get(struct netagg_rule *rule,
				    const union nf_inet_addr *addr)
{
	struct netagg_peer *peer = netagg_peer_find(rule, addr), *other;

	if (peer || READ_ONCE(rule->npeers) >= NETAGG_MAX_PEERS)
		return peer;
	peer = netagg_peer_alloc(GFP_ATOMIC);
	if (!peer)
		return NULL;
	peer->addr = *addr;
	peer->contacted = netagg_now();
	peer->link[0].confirmed = peer->contacted;
	spin_lock_bh(&rule->lock);
	other = netagg_peer_find(rule, addr);
	if (other || READ_ONCE(rule->dead)) {
		spin_unlock_bh(&rule->lock);
		kfree(peer);
		return other;
	}
	hlist_add_head_rcu(&peer->node, peer_bucket(rule, addr));
	rule->npeers++;
	spin_unlock_bh(&rule->lock);
	return peer;
}

void netagg_peers_remove(struct netagg_rule *rule, bool idle_only)
{
	u64 now = netagg_now();
	struct netagg_peer *peer;
	struct hlist_node *next;
	int i;

	spin_lock_bh(&rule->lock);
	for (i = 0; i < NETAGG_PEER_BUCKETS; i++)
		hlist_for_each_entry_safe(peer, next, &rule->peers[i], node) {
			if (idle_only &&
			    netagg_since(now, READ_ONCE(peer->contacted)) <
			    PEER_IDLE_US)
				continue;
			hlist_del_rcu(&peer->node);
			rule->npeers--;
			call_rcu(&peer->rcu, free_peer);
		}
	spin_unlock_bh(&rule->lock);
}

/* Something came over a path; what exactly it was does not matter. */
void netagg_link_heard(struct netagg_peer *peer, u8 index, u64 now)
{
	if (netagg_since(now, READ_ONCE(peer->link[index].heard)) > 1000)
		WRITE_ONCE(peer->link[index].heard, now);
}

/* The peer says that at a time it had heard us over a path. */
void netagg_link_confirm(struct netagg_peer *peer, u8 index, u64 at)
{
	spin_lock_bh(&peer->lock);
	if (at > peer->link[index].confirmed)
		peer->link[index].confirmed = at;
	spin_unlock_bh(&peer->lock);
}

/*
 * A probe was answered. From the first time on, the primary path has to show
 * that it is alive like any other.
 */
void netagg_link_answer(struct netagg_peer *peer, u8 index, u32 seq, u32 rtt,
			u64 now)
{
	struct netagg_link *link = &peer->link[index];
	u32 age;

	spin_lock_bh(&peer->lock);
	if (!peer->contacted)
		peer->link[0].confirmed = max(peer->link[0].confirmed, now);
	WRITE_ONCE(peer->contacted, now);
	age = link->sent - 1 - seq;
	if (age < 64)
		link->answered |= BIT_ULL(age);
	link->rtt_us = link->rtt_us ? (link->rtt_us * 3ULL + rtt) / 4 : rtt;
	if (!link->rtt_min_us || rtt < link->rtt_min_us ||
	    netagg_since(now, link->rtt_min_at) > RTT_WINDOW_US) {
		link->rtt_min_us = rtt;
		link->rtt_min_at = now;
	}
	spin_unlock_bh(&peer->lock);
}

/*
 * How far the paths' delays are apart, queues included: a packet may have to
 * wait from the shortest delay of the fastest to the longest of the slowest.
 */
static void reckon_hold(struct netagg_rule *rule, struct netagg_peer *peer,
			s32 origin)
{
	s32 low = S32_MAX, high = S32_MIN, lows[NETAGG_MAX_PATHS];
	u32 skew;
	int i;

	for (i = 0; i < rule->npaths; i++) {
		const struct netagg_link *link = &peer->link[i];
		s32 l, h;

		lows[i] = S32_MAX;
		if (!link->delay_known || !(peer->alive & BIT(i)))
			continue;
		l = min(link->delay_low - origin, link->last_low - origin);
		h = max(link->delay_high - origin, link->last_high - origin);
		low = min(low, l);
		high = max(high, h);
		lows[i] = l;
	}
	if (low > high)
		return;
	skew = high - low;
	for (i = 0; i < rule->npaths; i++)
		if (lows[i] != S32_MAX)
			WRITE_ONCE(peer->delay_us[i], lows[i] - low);
	WRITE_ONCE(peer->hold_us, skew + skew / 4 + MARGIN_US);
}

/* A message was sent at a time of the peer's clock and has come now. */
void netagg_link_delay(struct netagg_rule *rule, struct netagg_peer *peer,
		       u8 index, u32 sent_us, u64 now)
{
	struct netagg_link *link = &peer->link[index];
	s32 delay = (u32)now - sent_us;

	spin_lock_bh(&peer->lock);
	if (!link->delay_known) {
		link->delay_known = true;
		link->last_low = delay;
		link->last_high = delay;
		link->delay_low = delay;
		link->delay_high = delay;
		link->window_at = now;
	} else if (netagg_since(now, link->window_at) > WINDOW_US) {
		link->last_low = link->delay_low;
		link->last_high = link->delay_high;
		link->delay_low = delay;
		link->delay_high = delay;
		link->window_at = now;
	}
	if (delay - link->delay_low < 0)
		link->delay_low = delay;
	if (delay - link->delay_high > 0)
		link->delay_high = delay;
	reckon_hold(rule, peer, delay);
	spin_unlock_bh(&peer->lock);
}

/* Probes have become slow, or quick again. */
void netagg_peer_pace(struct netagg_peer *peer, bool idle, u64 now)
{
	if (READ_ONCE(peer->idle) == idle)
		return;
	spin_lock_bh(&peer->lock);
	peer->idle = idle;
	if (!idle)
		peer->busy_since = now;
	spin_unlock_bh(&peer->lock);
}

static bool is_fresh(const struct netagg_rule *rule,
		     const struct netagg_peer *peer,
		     const struct netagg_link *link, u64 now, u32 dead_us)
{
	u64 since = link->confirmed;

	if (!since)
		return false;
	if (peer->idle)
		dead_us = max_t(u32, dead_us, IDLE_DEAD_US);
	/* The doubt is in favour of what is in use. */
	if (peer->alive & BIT(link - peer->link)) {
		since = max(since, READ_ONCE(rule->stalled));
		if (!peer->idle)
			since = max(since, peer->busy_since + WAKE_US);
	}
	return now < since + dead_us;
}

/*
 * Paths in use that have fallen silent while others have not, which is how a
 * cut begins. Until it is sure, others take what they were to take. Compared
 * with the others and not with the clock: a host that stood still has heard
 * nothing on any of them. @heard: what has come over them, else what of ours
 * is known to have arrived.
 */
u8 netagg_peer_doubted(const struct netagg_rule *rule,
		       const struct netagg_peer *peer, bool heard)
{
	u32 silence_us = READ_ONCE(rule->options.probe_us) * 3 / 2;
	u8 alive = READ_ONCE(peer->alive), doubted = 0;
	u64 at[NETAGG_MAX_PATHS], latest = 0;
	int i;

	if (READ_ONCE(peer->idle) || !(alive & (alive - 1)))
		return 0;
	for (i = 0; i < rule->npaths; i++) {
		at[i] = heard ? READ_ONCE(peer->link[i].heard) :
				READ_ONCE(peer->link[i].confirmed);
		if (alive & BIT(i))
			latest = max(latest, at[i]);
	}
	if (latest < READ_ONCE(peer->busy_since) + WAKE_US)
		return 0;
	for (i = 0; i < rule->npaths; i++)
		if (alive & BIT(i) && at[i] + silence_us < latest)
			doubted |= BIT(i);
	return doubted;
}

/* The peer is known to have heard us over a path only just now. */
bool netagg_link_is_fresh(const struct netagg_rule *rule,
			  const struct netagg_peer *peer, u8 index, u64 now)
{
	u32 dead_us = READ_ONCE(rule->options.dead_us);

	if (READ_ONCE(peer->idle))
		dead_us = max_t(u32, dead_us, IDLE_DEAD_US);
	return now < READ_ONCE(peer->link[index].confirmed) + dead_us / 2;
}

static void take_up(struct netagg_peer *peer, int i, u64 now)
{
	struct netagg_link *link = &peer->link[i];

	link->ever = true;
	link->went_up = now;
	WRITE_ONCE(peer->alive, peer->alive | BIT(i));
}

/* A path that comes and goes is left alone for longer each time. */
static void leave(struct netagg_peer *peer, int i, u64 now)
{
	struct netagg_link *link = &peer->link[i];

	if (netagg_since(now, link->went_up) < 10000000LL + link->wait_us)
		link->wait_us = min_t(u32, link->wait_us * 2, MAX_WAIT_US);
	else
		link->wait_us = WAIT_US;
	link->up_since = 0;
	link->delay_known = false;
	WRITE_ONCE(peer->alive, peer->alive & ~BIT(i));
}

/* The fastest path that nothing is suspected of. */
static u8 best_of(const struct netagg_rule *rule,
		  const struct netagg_peer *peer, u64 now)
{
	u32 suspect_us = 2 * READ_ONCE(rule->options.probe_us) + 20000;
	u8 sure = 0, mask;
	int i, best = -1;

	for (i = 0; i < rule->npaths; i++)
		if (peer->alive & BIT(i) &&
		    is_fresh(rule, peer, &peer->link[i], now, suspect_us))
			sure |= BIT(i);
	mask = sure ? sure : peer->alive;
	if (!mask)
		return peer->best;
	for (i = 0; i < rule->npaths; i++)
		if (mask & BIT(i) &&
		    (best < 0 || peer->link[i].rtt_us < peer->link[best].rtt_us))
			best = i;
	/* Not to and fro between two that are alike. */
	if (mask & BIT(peer->best) &&
	    peer->link[best].rtt_us * 10ULL >
	    peer->link[peer->best].rtt_us * 7ULL)
		return peer->best;
	return best;
}

/*
 * A host that stood still, as virtual ones do, has heard nothing meanwhile;
 * that says nothing of the paths.
 */
static void notice_stall(struct netagg_rule *rule, u64 now)
{
	u32 dead_us = READ_ONCE(rule->options.dead_us);
	u64 last = READ_ONCE(rule->judged);

	/* Seldom enough that a host that is always late still learns. */
	if (last && now > last + dead_us / 2 &&
	    now > last + 2 * READ_ONCE(rule->options.probe_us) &&
	    now > READ_ONCE(rule->stalled) + 4 * dead_us)
		WRITE_ONCE(rule->stalled, now);
	WRITE_ONCE(rule->judged, now);
}

/* Which paths are used from now on. */
void netagg_peer_judge(struct netagg_rule *rule, struct netagg_peer *peer,
		       u64 now)
{
	u32 dead_us = READ_ONCE(rule->options.dead_us);
	u8 up = 0, down = 0;
	int i;

	notice_stall(rule, now);
	spin_lock_bh(&peer->lock);
	/* Before the first answer there is nothing to judge. */
	for (i = 0; i < rule->npaths && peer->contacted; i++) {
		struct netagg_link *link = &peer->link[i];
		bool fresh = is_fresh(rule, peer, link, now, dead_us);

		if (peer->alive & BIT(i)) {
			if (fresh) {
				link->ever = true;
			} else {
				leave(peer, i, now);
				down |= BIT(i);
			}
		} else if (!fresh) {
			link->up_since = 0;
		} else {
			if (!link->up_since)
				link->up_since = now;
			/* Where there is no other, there is no waiting. */
			if (!link->ever || !peer->alive ||
			    netagg_since(now, link->up_since) >= link->wait_us) {
				take_up(peer, i, now);
				up |= BIT(i);
			}
		}
	}
	WRITE_ONCE(peer->best, best_of(rule, peer, now));
	spin_unlock_bh(&peer->lock);
	if (peer != rule->self)
		return;
	for (i = 0; i < rule->npaths; i++) {
		if (up & BIT(i))
			netagg_event(rule, NETAGG_EVENT_PATH_UP, i);
		if (down & BIT(i))
			netagg_event(rule, NETAGG_EVENT_PATH_DOWN, i);
	}
}

/*
 * Moves a twentieth of the weight from the path that queues or loses most to
 * the one that does so least: where all are equally full, each has the share
 * that it can carry.
 */
void netagg_peer_adapt(struct netagg_rule *rule, struct netagg_peer *peer,
		       u64 now)
{
	u64 most = 0, least = U64_MAX, total = 0;
	int i, worst = -1, fittest = -1;
	bool busy = false;

	spin_lock_bh(&peer->lock);
	for (i = 0; i < rule->npaths; i++)
		total += rule->path[i].weight;
	for (i = 0; i < rule->npaths; i++) {
		struct netagg_link *link = &peer->link[i];
		struct netagg_counters sum;
		u64 packets, lost, burden;

		netagg_count_sum(&rule->path[i], &sum);
		packets = sum.tx_packets - link->old_packets;
		lost = sum.retransmits - link->old_retransmits;
		link->old_packets = sum.tx_packets;
		link->old_retransmits = sum.retransmits;
		if (!link->share)
			link->share = max_t(u64, 1, div64_u64((u64)
				rule->path[i].weight * NETAGG_MAX_WEIGHT,
				total));
		if (!(peer->alive & BIT(i)))
			continue;
		busy |= packets >= 10;
		/*
		 * One lost in a hundred counts as much as 10 ms of queue. Of a
		 * path that carries next to nothing the probes tell.
		 */
		burden = link->rtt_us - min(link->rtt_us, link->rtt_min_us) +
			 (packets < 10 ? link->loss_ppm :
			  div64_u64(lost * 1000000, packets));
		if (worst < 0 || burden > most) {
			most = burden;
			worst = i;
		}
		if (fittest < 0 || burden < least) {
			least = burden;
			fittest = i;
		}
	}
	if (busy && worst != fittest && most > least + 5000) {
		u32 part = peer->link[worst].share / 20;

		if (peer->link[worst].share - part >= NETAGG_MAX_WEIGHT / 100) {
			WRITE_ONCE(peer->link[worst].share,
				   peer->link[worst].share - part);
			WRITE_ONCE(peer->link[fittest].share,
				   peer->link[fittest].share + part);
		}
	}
	spin_unlock_bh(&peer->lock);
}
