#!/usr/bin/env bash
# Docker Engine from the distribution, started at boot, usable by the login user.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

refreshed=no

refresh() {
    [ "$refreshed" = no ] || return 0
    apt-get -q update || {
        echo "The package lists cannot be fetched, and packages are missing on this node." >&2
        echo "Connect the host to the network, or use the box that has all packages in it" >&2
        echo "(vagrant/box/README.md)." >&2
        exit 1
    }
    refreshed=yes
}

# install PROGRAM PACKAGE: nothing is fetched where the program is there.
install() {
    command -v "$1" >/dev/null && return 0
    refresh
    # Newer Debians have the client in a package of its own, older ones have no such package.
    if ! apt-cache show "$2" >/dev/null 2>&1; then
        echo "This distribution has no package $2." >&2
        return 1
    fi
    apt-get -q -y install --no-install-recommends "$2"
}

PATH=$PATH:/usr/sbin:/sbin
install iptables iptables
install dockerd docker.io
install docker docker-cli
install curl curl
install unzip unzip

# Swarm's load balancing and overlay networks need them; minimal kernels leave them out.
printf '%s\n' overlay br_netfilter vxlan ip_vs >/etc/modules-load.d/drydock.conf
for module in overlay br_netfilter vxlan ip_vs; do
    modprobe "$module" 2>/dev/null || echo "This kernel cannot load $module; swarms need it." >&2
done

# Without a registry each start of a task would wait for an answer about its image.
drop_in=/etc/systemd/system/docker.service.d/drydock.conf
wanted='[Service]
Environment=DOCKER_SERVICE_PREFER_OFFLINE_IMAGE=1'
if [ "$(cat "$drop_in" 2>/dev/null)" != "$wanted" ]; then
    mkdir -p "${drop_in%/*}"
    printf '%s\n' "$wanted" >"$drop_in"
    systemctl daemon-reload
    # Only now: a restart stops what runs on the node.
    systemctl restart docker.service
fi
systemctl is-enabled --quiet docker.service || systemctl enable --quiet docker.service
systemctl is-active --quiet docker.service || systemctl start docker.service

# The login user types docker without sudo, as in the lecture. That is as good as root.
if id vagrant >/dev/null 2>&1 && ! id -nG vagrant | grep -qw docker; then
    usermod -aG docker vagrant
fi

for _ in $(seq 60); do
    if version=$(docker version --format '{{.Server.Version}}' 2>/dev/null); then
        echo "Docker Engine $version answers."
        exit 0
    fi
    sleep 2
done
echo "The engine does not answer. Its log: journalctl -u docker.service" >&2
exit 1
