#!/usr/bin/env bash
# A small initial RAM disk, only what finds and mounts a virtio disk: initrd.sh ROOT.
# mmdebstrap calls it before the kernel is installed, which makes the RAM disk.
set -euo pipefail
root=$1
put() { install -D -m 644 /dev/stdin "$root/$1"; }

echo 'MODULES=list' | put etc/initramfs-tools/conf.d/drydock
printf '%s\n' virtio_pci virtio_blk virtio_net ext4 | put usr/share/initramfs-tools/modules.d/drydock
