#!/usr/bin/env bash
# Keeps the nodes' clocks in step: clock.sh NAME MANAGER. A swarm's certificates and its idea of
# who is alive depend on them, and a laptop that slept leaves its machines hours behind.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
name=$1
manager=$2
PATH=$PATH:/usr/sbin:/sbin

if ! command -v chronyd >/dev/null; then
    if ! { apt-get -q update && apt-get -q -y install --no-install-recommends chrony; }; then
        # Nodes on one host begin with the host's time: worse, but no reason to stop the class.
        echo "chrony cannot be installed; the clocks are not synchronised." >&2
        exit 0
    fi
fi

file=/etc/chrony/conf.d/drydock.conf
main=/etc/chrony/chrony.conf
# The first time there is no file yet, which must not end the script.
before=$({ cat "$file" "$main" 2>/dev/null || true; } | cksum)
mkdir -p "${file%/*}"
if [ "$name" = "$manager" ]; then
    # Without network the manager's own clock is the time: in step matters, right does not.
    printf 'local stratum 10\nallow 192.168.56.0/24\n' >"$file"
else
    printf 'server %s iburst minpoll 4 maxpoll 6\n' "$manager" >"$file"
fi
grep -q '^confdir /etc/chrony/conf.d' "$main" || echo "confdir /etc/chrony/conf.d" >>"$main"
# Step whenever it is off by more than a second, not only at the start: laptops sleep.
# The main file says so, as what it says itself counts over conf.d.
sed -i '/^makestep /d' "$main"
echo 'makestep 1 -1' >>"$main"

if [ "$before" != "$(cat "$file" "$main" | cksum)" ]; then
    systemctl restart chrony.service
fi
systemctl is-enabled --quiet chrony.service || systemctl enable --quiet chrony.service
systemctl is-active --quiet chrony.service || systemctl start chrony.service
echo "The clock follows $([ "$name" = "$manager" ] && echo 'the network, or itself' || echo "$manager")."
