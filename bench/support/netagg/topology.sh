# SPDX-License-Identifier: Apache-2.0
# Functions for a network of namespaces in one machine: a sends to b over routers r1, r2...; read with `.`.
# Path N is 10.1.N.1 (a) - 10.1.N.2 rN 10.0.N.1 - 10.0.N.2 (b), and the same in fd00:1:N::/64 and fd00:0:N::/64.
# The primary address of b is 10.0.1.2; a's connections come from 10.1.1.1.

interface() { # NAMESPACE NAME IPV4 IPV6
  ip -n $1 addr add $3/24 dev $2
  ip -n $1 addr add $4/64 dev $2 nodad
  ip -n $1 link set dev $2 up
}

topology() { # NUMBER of paths
  for ns in a b; do
    ip netns add $ns
    ip -n $ns link set lo up
    ip netns exec $ns sysctl -qw net.ipv4.conf.all.rp_filter=2 net.ipv4.conf.default.rp_filter=2 \
      net.ipv4.conf.all.arp_filter=1 net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
  done
  for n in $(seq "$1"); do
    ip netns add r$n
    ip netns exec r$n sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
      net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 net.ipv6.conf.default.accept_dad=0
    ip link add a$n netns a type veth peer name up netns r$n
    ip link add b$n netns b type veth peer name down netns r$n
    interface a a$n 10.1.$n.1 fd00:1:$n::1
    interface r$n up 10.1.$n.2 fd00:1:$n::2
    interface r$n down 10.0.$n.1 fd00:0:$n::1
    interface b b$n 10.0.$n.2 fd00:0:$n::2
    ip -n a route add 10.0.$n.0/24 via 10.1.$n.2
    ip -n a route add fd00:0:$n::/64 via fd00:1:$n::2
    # a's connections come from 10.1.1.1 on every path.
    [ $n = 1 ] || ip -n r$n route add 10.1.1.1 via 10.1.$n.1
    [ $n = 1 ] || ip -n r$n route add fd00:1:1::1 via fd00:1:$n::1
    ip -n b route add default via 10.0.$n.1 table $n
    ip -n b rule add from 10.0.$n.2 table $n
    ip -n b -6 route add default via fd00:0:$n::1 table $n
    ip -n b -6 rule add from fd00:0:$n::2 table $n
    [ $n = 1 ] || continue
    ip -n b route add default via 10.0.1.1
    ip -n b -6 route add default via fd00:0:1::1
  done
}

# What leaves a and b is as on a wire: packets no larger than the MTU.
wire() { # NUMBER of paths
  for n in $(seq "$1"); do
    ip netns exec a ethtool -K a$n tso off gso off gro off 2>/dev/null
    ip netns exec b ethtool -K b$n tso off gso off gro off 2>/dev/null
    ip netns exec r$n ethtool -K up tso off gso off gro off 2>/dev/null
    ip netns exec r$n ethtool -K down tso off gso off gro off 2>/dev/null
  done
}

shape() { # PATH RATE-IN-KBIT DELAY-IN-MS-EACH-WAY PACKETS-OF-QUEUE [MORE-FOR-NETEM]
  path=$1 rate=$2 delay=$3 queue=$4
  shift 4
  ip netns exec r$path tc qdisc replace dev down root netem rate ${rate}kbit delay ${delay}ms limit $queue "$@"
  ip netns exec r$path tc qdisc replace dev up root netem rate ${rate}kbit delay ${delay}ms limit $queue
}

cut() { ip netns exec r$1 tc qdisc replace dev down root netem loss 100%
        ip netns exec r$1 tc qdisc replace dev up root netem loss 100%; }

no_topology() { # NUMBER of paths
  for ns in a b $(seq -f r%g "$1"); do ip netns del $ns; done
}
