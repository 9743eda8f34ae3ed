#!/usr/bin/env bash
# A node's part in forming a swarm. Each call may be repeated; the host says what is to be done:
#
#   swarm.sh init ADDRESS             make the swarm on this node, unless it is there
#   swarm.sh token [worker|manager]   print the join token (on a manager)
#   swarm.sh id                       print this node's ID in its swarm, - without a swarm
#   swarm.sh knows ID                 print yes or no: is that node a member? (on a manager)
#   swarm.sh join MANAGER ADDRESS TOKEN   join; TOKEN is - for a node that the manager knows
#   swarm.sh tidy NAME                forget dead nodes of that name that a new one replaced
set -euo pipefail

say() { echo "$*"; }
fail() {
    echo "$*" >&2
    exit 1
}

# What the engine says of its swarm, asked once: each question takes a second on a slow node.
state='' id='' manages='' address_now='' error=''
ask() {
    local format='{{.Swarm.LocalNodeState}}|{{.Swarm.NodeID}}|{{.Swarm.ControlAvailable}}|'
    format+='{{.Swarm.NodeAddr}}|{{.Swarm.Error}}'
    state=''
    IFS='|' read -r state id manages address_now error < <(docker info --format "$format") || true
}

# After a start of the node the engine takes a moment, and then its swarm another.
settle() {
    for _ in $(seq 60); do
        ask 2>/dev/null
        [ -z "$state" ] || [ "$state" = pending ] || return 0
        sleep "${DRYDOCK_PAUSE:-2}"
    done
    [ -n "$state" ] || fail "The engine does not answer. Its log: journalctl -u docker.service"
}

init() {
    local address=$1
    case $state in
        inactive)
            docker swarm init --advertise-addr "$address" >/dev/null
            say "The swarm is made; this node is its manager at $address."
            ;;
        active)
            [ "$manages" = true ] || fail \
                "This node is a worker in a swarm already. Type \`docker swarm leave\` on it first."
            [ "$address_now" = "$address" ] || fail \
                "This node's swarm has the address $address_now, not $address: it was" \
                "made on the wrong network. Run \`docker swarm leave --force\` on it first."
            say "The swarm exists already."
            ;;
        *)
            fail "This node's swarm is not well: $state $error." \
                "\`docker swarm leave --force\` on it gives it up."
            ;;
    esac
}

token() { docker swarm join-token --quiet "${1:-worker}"; }

id() { say "${id:--}"; }

knows() {
    local members
    # A manager that cannot list its members must not answer no: the node would leave its swarm.
    members=$(docker node ls --format '{{.ID}}')
    if grep -qx "$1" <<<"$members"; then say yes; else say no; fi
}

join() {
    local manager=$1 address=$2 token=$3
    if [ "$token" = - ]; then
        [ "$state" = active ] || fail \
            "The manager knows this node, but the node itself says $state $error." \
            "Restart it (vagrant reload NAME), or type \`docker swarm leave --force\` on it."
        say "This node is in the swarm already."
        return
    fi
    if [ "$state" != inactive ]; then
        # A manager of another swarm holds that swarm's state. No one but its owner ends it.
        [ "$manages" != true ] || fail \
            "This node is a manager of another swarm." \
            "If that may end, type \`docker swarm leave --force\` on it."
        # Its manager was recreated, and the swarm it belongs to is no more.
        docker swarm leave --force >/dev/null
    fi
    docker swarm join --token "$token" --advertise-addr "$address" "$manager:2377" >/dev/null
    say "This node has joined the swarm of $manager."
}

tidy() {
    local name=$1 members other hostname status role
    members=$(docker node ls --format '{{.ID}} {{.Hostname}} {{.Status}} {{.ManagerStatus}}')
    # Only where another node of the name lives: a node that is just switched off stays a member.
    grep -q "^[^ ]* $name Ready" <<<"$members" || return 0
    while read -r other hostname status role; do
        if [ "$hostname" = "$name" ] && [ "$status" = Down ]; then
            [ -z "$role" ] || docker node demote "$other" >/dev/null
            docker node rm --force "$other" >/dev/null
            say "Removed the former $name from the swarm."
        fi
    done <<<"$members"
}

case ${1:-} in
    init | token | id | knows | join | tidy)
        settle
        "$@"
        ;;
    *) fail "Usage: swarm.sh init|token|id|knows|join|tidy ..." ;;
esac
