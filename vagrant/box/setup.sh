#!/usr/bin/env bash
# Turns a fresh Debian into a Vagrant box: setup.sh ROOT, with the key in
# DRYDOCK_KEY. mmdebstrap calls it, as root.
set -euo pipefail
root=$1
: "${DRYDOCK_KEY:?the public key that Vagrant logs in with}"

inside() { chroot "$root" "$@"; }
# put PATH MODE: standard input becomes a file of the box.
put() { install -D -m "$2" /dev/stdin "$root/$1"; }

# Vagrant logs in as this user with a key that everybody has, and exchanges it at the first start.
inside useradd --create-home --shell /bin/bash vagrant
inside usermod --password '*' vagrant
echo "$DRYDOCK_KEY" | put home/vagrant/.ssh/authorized_keys 600
inside chown -R vagrant:vagrant /home/vagrant/.ssh
inside chmod 700 /home/vagrant/.ssh
echo 'vagrant ALL=(ALL) NOPASSWD: ALL' | put etc/sudoers.d/vagrant 440
inside usermod --append --groups docker vagrant

echo '/dev/vda / ext4 errors=remount-ro 0 1' | put etc/fstab 644
echo drydock | put etc/hostname 644
printf '127.0.0.1\tlocalhost\n127.0.1.1\tdrydock\n' | put etc/hosts 644
: | put etc/resolv.conf 644
put etc/network/interfaces 644 <<'END'
auto lo
iface lo inet loopback

auto eth0
iface eth0 inet dhcp
END

# Each machine makes keys and an ID of its own.
rm -f "$root"/etc/ssh/ssh_host_*
put etc/systemd/system/drydock-ssh-keys.service 644 <<'END'
[Unit]
Description=SSH host keys of this machine's own
Before=ssh.service
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -A

[Install]
RequiredBy=ssh.service
END
inside systemctl --quiet enable drydock-ssh-keys.service
: | put etc/machine-id 444
rm -f "$root/var/lib/dbus/machine-id"

# The offline box asks nobody outside for the time; vagrant/provision/clock.sh sees to the rest.
sed -i '/^pool /d' "$root/etc/chrony/chrony.conf"

# A small initial RAM disk: only what finds and mounts a virtio disk.
echo 'MODULES=list' | put etc/initramfs-tools/conf.d/drydock 644
printf '%s\n' virtio_pci virtio_blk virtio_net ext4 | put usr/share/initramfs-tools/modules.d/drydock 644
inside update-initramfs -u

# Settings of the machine that builds the box, and what the package manager can make again.
rm -f "$root/etc/apt/apt.conf.d/99mmdebstrap" "$root/etc/dpkg/dpkg.cfg.d/99mmdebstrap"
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/log/*.log
