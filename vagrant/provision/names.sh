#!/usr/bin/env bash
# Names this node and lets it find the others: names.sh NAME ADDRESS=NAME ...
# (Vagrant's own way restarts the network, and gives the name a loopback address.)
set -euo pipefail
name=$1
shift

if [ "$(cat /etc/hostname)" != "$name" ] || [ "$(hostname)" != "$name" ]; then
    echo "$name" >/etc/hostname
    # The engine asks for it each time that it tells its name.
    hostname "$name"
fi

begin='# drydock: nodes'
end='# drydock: end'
old=/etc/hosts
new=$(mktemp)
trap 'rm -f "$new"' EXIT

{
    sed "/^$begin\$/,/^$end\$/d" "$old"
    echo "$begin"
    for pair in "$@"; do
        printf '%s\t%s\n' "${pair%%=*}" "${pair#*=}"
    done
    echo "$end"
} >"$new"

if cmp -s "$new" "$old"; then
    echo "The nodes know each other's names already."
else
    # The file is written in place: it may be a mount, and keeps its owner and mode.
    cat "$new" >"$old"
    echo "The nodes' names are in $old."
fi
