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
# Every look at a node goes through sudo. A session, a terminal and a line in the log for each of
# them take an emulated node longer than what is looked at.
put etc/sudoers.d/vagrant 440 <<'END'
vagrant ALL=(ALL) NOPASSWD: ALL
Defaults:vagrant !pam_session, !use_pty, !syslog
END
inside usermod --append --groups docker vagrant

# Not checked at each start: its journal is enough, and emulated nodes have no time.
echo '/dev/vda / ext4 errors=remount-ro 0 0' | put etc/fstab 644
echo drydock | put etc/hostname 644
printf '127.0.0.1\tlocalhost\n127.0.1.1\tdrydock\n' | put etc/hosts 644
: | put etc/resolv.conf 644
put etc/network/interfaces 644 <<'END'
auto lo
iface lo inet loopback

auto eth0
iface eth0 inet dhcp
END

# A resolver that does not answer costs seconds, not a minute.
put etc/dhcp/dhclient-exit-hooks.d/drydock 644 <<'END'
case $reason in BOUND | RENEW | REBIND | REBOOT)
    grep -qs '^options timeout' /etc/resolv.conf || echo 'options timeout:2 attempts:2' >>/etc/resolv.conf
    ;;
esac
END

# Each machine makes keys and an ID of its own. No RSA key: an emulated processor looks for one
# for half a minute, and Vagrant is content with the others.
rm -f "$root"/etc/ssh/ssh_host_*
put etc/ssh/sshd_config.d/drydock.conf 644 <<'END'
HostKey /etc/ssh/ssh_host_ed25519_key
HostKey /etc/ssh/ssh_host_ecdsa_key
END
put etc/systemd/system/drydock-ssh-keys.service 644 <<'END'
[Unit]
Description=SSH host keys of this machine's own
Before=ssh.service
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key

[Service]
Type=oneshot
# Of a start that was cut short.
ExecStartPre=/bin/rm -f /etc/ssh/ssh_host_ecdsa_key
ExecStart=/usr/bin/ssh-keygen -q -t ecdsa -N "" -f /etc/ssh/ssh_host_ecdsa_key
ExecStart=/usr/bin/ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key

[Install]
RequiredBy=ssh.service
END
inside systemctl --quiet enable drydock-ssh-keys.service
: | put etc/machine-id 444
rm -f "$root/var/lib/dbus/machine-id"

# The offline box asks no one outside for the time; vagrant/provision/clock.sh sees to the rest.
sed -i '/^pool /d' "$root/etc/chrony/chrony.conf"

# What vagrant/provision/engine.sh sees to: it need not restart the engine then.
put etc/systemd/system/docker.service.d/drydock.conf 644 <<'END'
[Service]
Environment=DOCKER_SERVICE_PREFER_OFFLINE_IMAGE=1
END
printf '%s\n' overlay br_netfilter vxlan ip_vs | put etc/modules-load.d/drydock.conf 644

# A node that a power cut spoils is recreated; until then installing need not wait for the disk.
echo force-unsafe-io | put etc/dpkg/dpkg.cfg.d/drydock 644

# Nodes live for a lesson: nothing looks for updates, tidies or scrubs behind their backs. And no
# node needs these file systems and modules, each of which costs an emulated one a second.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    e2scrub_reap.service fstrim.timer systemd-pstore.service dev-hugepages.mount \
    dev-mqueue.mount sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
    sys-fs-fuse-connections.mount; do
    if [ -e "$root/usr/lib/systemd/system/$unit" ]; then inside systemctl --quiet mask "$unit"; fi
done
# The same holds for what systemd asks at each start and at each change of its services: a node has
# no encrypted disks, and sleeps in no file.
for name in bless-boot cryptsetup debug gpt-auto hibernate-resume integritysetup run system-update \
    veritysetup; do
    file=systemd-$name-generator
    mkdir -p "$root/etc/systemd/system-generators"
    if [ -e "$root/usr/lib/systemd/system-generators/$file" ]; then
        ln -s /dev/null "$root/etc/systemd/system-generators/$file"
    fi
done
for module in configfs dm_mod drm efi_pstore fuse loop; do
    ln -s /dev/null "$root/etc/systemd/system/modprobe@$module.service"
done

# The network card is there when the root file system is: no one has to wait for others. And
# Vagrant and docker bring their own interfaces up themselves.
put etc/systemd/system/ifupdown-pre.service.d/drydock.conf 644 <<'END'
[Service]
ExecStart=
ExecStart=/bin/true
END
ln -s /dev/null "$root/etc/udev/rules.d/80-ifupdown.rules"

# Questions of packages in English alone: all that is here is read some thirty times while practical 1's
# packages are installed.
sed -i -E '/^(choices|description|extended_description)-[a-z_@]+\.utf-8:/Id' \
    "$root/var/cache/debconf/templates.dat"
rm -f "$root/var/cache/debconf/templates.dat-old"

# Settings of the machine that builds the box, and what the package manager can make again.
rm -f "$root/etc/apt/apt.conf.d/99mmdebstrap" "$root/etc/dpkg/dpkg.cfg.d/99mmdebstrap"
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/log/*.log

# systemd makes its lists again at the first start where /usr is younger than these; all are made.
touch --date="@$SOURCE_DATE_EPOCH" "$root/usr"
touch --date="@$((SOURCE_DATE_EPOCH + 1))" "$root/etc/.updated" "$root/var/.updated"
