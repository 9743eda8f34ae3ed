#!/usr/bin/env bash
# Turns a fresh Debian into the machine that grades: setup.sh ROOT. mmdebstrap calls it, as root, with
#   DRYDOCK_PYTHON   a folder with the kit's Python packages
#   DRYDOCK_UNIT     the service that grades
#   DRYDOCK_USER     the user ID that root of a sandbox's node has
set -euo pipefail
root=$1
: "${DRYDOCK_PYTHON:?}" "${DRYDOCK_UNIT:?}" "${DRYDOCK_USER:?}"

inside() { chroot "$root" "$@"; }
# put PATH MODE: standard input becomes a file of the machine.
put() { install -D -m "$2" /dev/stdin "$root/$1"; }

mkdir -p "$root/opt/python" "$root/opt/drydock" "$root/var/lib/drydock/engine/data"
cp -R --no-preserve=ownership,mode "$DRYDOCK_PYTHON/." "$root/opt/python"
# Compiled now: it takes an emulated processor minutes.
inside python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/python
put etc/systemd/system/drydock.service 644 <"$DRYDOCK_UNIT"
inside systemctl --quiet enable drydock.service

# The image set's files belong to the users of the engine that made it, so they are the same here.
inside useradd --system --user-group --no-create-home --shell /usr/sbin/nologin dockremap
for file in subuid subgid; do
    echo "dockremap:$DRYDOCK_USER:65536" | put "etc/$file" 644
done

echo '/dev/vda / ext4 errors=remount-ro 0 0' | put etc/fstab 644
echo drydock | put etc/hostname 644
printf '127.0.0.1\tlocalhost\n127.0.1.1\tdrydock\n' | put etc/hosts 644
: | put etc/resolv.conf 644
: | put etc/machine-id 444
rm -f "$root/var/lib/dbus/machine-id"
# No one logs in.
inside usermod --password '*' root
printf '%s\n' overlay br_netfilter vxlan ip_vs loop virtio_console | put etc/modules-load.d/drydock.conf 644

# The kit starts an engine of its own. And the machine lives for one class: nothing looks for updates
# or tidies, no one has a terminal, and what no virtual machine has need not be looked for.
for unit in docker.service docker.socket containerd.service getty.target getty@tty1.service \
    serial-getty@ttyS0.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
    e2scrub_all.timer e2scrub_reap.service fstrim.timer systemd-pstore.service dev-hugepages.mount \
    dev-mqueue.mount sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
    sys-fs-fuse-connections.mount systemd-timesyncd.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
mkdir -p "$root/etc/systemd/system-generators"
for name in bless-boot cryptsetup debug getty gpt-auto hibernate-resume integritysetup run \
    system-update veritysetup; do
    ln -sf /dev/null "$root/etc/systemd/system-generators/systemd-$name-generator"
done

# Settings of the machine that builds the disk, and what the package manager can make again.
rm -f "$root/etc/apt/apt.conf.d/99mmdebstrap" "$root/etc/dpkg/dpkg.cfg.d/99mmdebstrap"
rm -rf "$root/etc/apt/sources.list" "$root"/etc/apt/sources.list.d/* \
    "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/log/*.log

# systemd makes its lists at the first start again where /usr is younger than these; all are made.
touch --date="@$SOURCE_DATE_EPOCH" "$root/usr"
touch --date="@$((SOURCE_DATE_EPOCH + 1))" "$root/etc/.updated" "$root/var/.updated"
