#!/usr/bin/env bash
# Makes a node ready to be a box: what must differ between nodes goes, what was fetched stays.
set -euo pipefail

if [ "$(docker info --format '{{.Swarm.LocalNodeState}}')" != inactive ]; then
    echo "This node is in a swarm. Run \`docker swarm leave --force\` on it first." >&2
    exit 1
fi
systemctl stop docker.service docker.socket
# Two engines with one ID are one to those who ask. Their images stay.
rm -f /etc/docker/key.json /var/lib/docker/engine-id
# An empty file is filled at the next start; a missing one is not always.
: >/etc/machine-id
rm -f /var/lib/dbus/machine-id
apt-get clean
echo "Sealed. Next, on the host: vagrant halt, then vagrant package."
