#!/usr/bin/env bash
# Puts the packages that the lab installs on a node into the box: packages.sh ROOT, with their
# names in DRYDOCK_OFFLINE. mmdebstrap calls it, as root, before setup.sh.
set -euo pipefail
export LC_ALL=C.UTF-8
root=$1
here=usr/local/share/drydock/packages
store=$root/$here
put() { install -D -m 644 /dev/stdin "$root/$1"; }

mkdir -p "$store/partial"
for name in $DRYDOCK_OFFLINE; do
    # One by one, as some of them exclude each other. With mmdebstrap's own apt: the box's may
    # have no way to where this machine gets its packages.
    APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get -q -y --no-install-recommends --download-only \
        -o Dir::Cache::Archives="$store" install "$name"
done
rm -rf "$store/partial" "$store/lock"
# As in any package source, names are without epochs, which apt's cache writes as 1%3a. What apt asks
# a package source for needs nothing but a shell to be written.
cd "$store"
for file in *.deb; do
    name=${file/_*%3a/_}
    [ "$name" = "$file" ] || mv "$file" "$name"
done
for file in *.deb; do
    dpkg-deb --field "$file"
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$file" \
        "$(stat -c %s "$file")" "$(sha256sum <"$file" | cut -d ' ' -f 1)"
done >Packages
# Without a list of lists apt asks for every compressed form of it first, and complains.
printf 'Date: %s\nSHA256:\n %s %s Packages\n' \
    "$(date --utc --date="@$SOURCE_DATE_EPOCH" '+%a, %d %b %Y %H:%M:%S UTC')" \
    "$(sha256sum <Packages | cut -d ' ' -f 1)" "$(stat -c %s Packages)" >Release

# First in the list, so that apt takes a package from here rather than from the network.
mkdir -p "$root/etc/apt/sources.list.d"
if [ -f "$root/etc/apt/sources.list" ]; then
    mv "$root/etc/apt/sources.list" "$root/etc/apt/sources.list.d/network.list"
fi
put etc/apt/sources.list <<END
# In the box: what the lab installs. More comes from the network, if there is one: network.list.
deb [trusted=yes] file:/$here ./
END
# Without network apt gives up after seconds instead of minutes, and goes on with what is here.
put etc/apt/apt.conf.d/90drydock <<'END'
Acquire::Retries "0";
Acquire::http::Timeout "10";
Acquire::https::Timeout "10";
Acquire::Languages "none";
END
