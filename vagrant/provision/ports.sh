#!/usr/bin/env bash
# Opens what swarm nodes need of each other, where the node has a firewall. Debian comes without.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
net=192.168.56.0/24
# Cluster management, node communication (twice), overlay traffic.
ports='2377/tcp 7946/tcp 7946/udp 4789/udp'

if command -v ufw >/dev/null && ufw status | grep -q '^Status: active'; then
    for port in $ports; do
        # ufw itself skips a rule that is there.
        ufw allow from "$net" to any port "${port%/*}" proto "${port#*/}" >/dev/null
    done
    echo "ufw lets $net at $ports."
elif command -v firewall-cmd >/dev/null && firewall-cmd --quiet --state; then
    for port in $ports; do
        rule="rule family=ipv4 source address=$net port port=${port%/*} protocol=${port#*/} accept"
        firewall-cmd --quiet --permanent --add-rich-rule="$rule"
    done
    firewall-cmd --quiet --reload
    echo "firewalld lets $net at $ports."
elif command -v iptables >/dev/null && iptables -S INPUT 2>/dev/null | grep -qx -- '-P INPUT DROP'; then
    for port in $ports; do
        rule=(INPUT -s "$net" -p "${port#*/}" --dport "${port%/*}" -j ACCEPT)
        iptables -C "${rule[@]}" 2>/dev/null || iptables -I "${rule[@]}"
    done
    echo "iptables lets $net at $ports, until the next start of this node."
else
    echo "No firewall: $ports are open."
fi
