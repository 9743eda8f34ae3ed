#!/usr/bin/env bash
# Loads images into the box with the box's own engine: preload.sh ROOT STATE [OPTION …], with the
# images on standard input as `docker save` writes them. STATE is where the engine keeps its data,
# OPTIONs are more ones for dockerd. Says "ID TAG" of each image that is in then.
#
# It is the first process of namespaces of its own (grader/release/box/tools.py): its mounts and its
# engine end with it, however it ends.
set -euo pipefail
root=$1
state=$root$2
shift 2
log=$root/run/dockerd.log

# A first process only hears the signals that it asks for.
trap 'exit 1' HUP INT TERM

# The engine changes its root for each layer, which wants a root that is a mount.
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
# With what is mounted below: the engine looks for the host's cgroups, whichever kind they are.
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
# Sockets, pid files and logs go with it.
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"

# No function: in the background that would be a shell, which hears the signal instead.
inside=(env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/run chroot "$root")

"${inside[@]}" dockerd --bridge=none --iptables=false --ip-forward=false --storage-driver=overlay2 \
    --exec-opt native.cgroupdriver=cgroupfs "$@" </dev/null >"$log" 2>&1 &
engine=$!
for _ in $(seq 300); do
    kill -0 "$engine" 2>/dev/null || break
    if "${inside[@]}" docker version >/dev/null 2>&1; then break; fi
    sleep 0.1
done
if ! "${inside[@]}" docker version >/dev/null 2>&1; then
    tail -n 8 "$log" >&2
    exit 1
fi
"${inside[@]}" docker load --quiet >/dev/null
"${inside[@]}" docker image ls --no-trunc --format '{{.ID}} {{.Repository}}:{{.Tag}}'
kill "$engine"
wait "$engine"

# Images only: an engine's identity, networks and the rest belong to one node.
find "$state" -mindepth 1 -maxdepth 1 ! -name image ! -name overlay2 -exec rm -rf {} +
rm -rf "$state/overlay2/backingFsBlockDev" "$root/etc/docker/key.json"
