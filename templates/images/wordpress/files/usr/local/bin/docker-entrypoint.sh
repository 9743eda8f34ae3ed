#!/bin/bash
# Puts WordPress into /var/www/html at the first start, with a wp-config.php that reads the
# environment, then starts the web server.
set -euo pipefail

case $1 in apache2*) ;; *) exec "$@" ;; esac

if [ "$(id -u)" = 0 ]; then
    user=${APACHE_RUN_USER:-www-data}
    group=${APACHE_RUN_GROUP:-www-data}
    user=${user#\#}
    group=${group#\#}
    [ "$(stat -c %u .)" != 0 ] || chown "$user:$group" .
else
    user=$(id -u)
    group=$(id -g)
fi

if [ ! -e index.php ] && [ ! -e wp-includes/version.php ]; then
    echo >&2 "WordPress not found in $PWD - copying now..."
    if [ -n "$(find . -mindepth 1 -maxdepth 1 -not -name wp-content)" ]; then
        echo >&2 "WARNING: $PWD is not empty! (copying anyhow)"
    fi
    leave=()
    # What a student mounts or has brought along stays as it is.
    for path in /usr/src/wordpress/wp-content/{plugins,themes}/*/ /usr/src/wordpress/wp-content/*.php; do
        inside=${path#/usr/src/wordpress/}
        inside=${inside%/}
        [ ! -e "$inside" ] || leave+=(--exclude="./$inside")
    done
    tar --create --directory /usr/src/wordpress --owner "$user" --group "$group" "${leave[@]}" . |
        tar --extract --no-overwrite-dir
    echo >&2 "Complete! WordPress has been successfully copied to $PWD"
fi

if [ ! -s wp-config.php ] && [ -n "$(compgen -A variable WORDPRESS_ || true)" ]; then
    echo >&2 "No 'wp-config.php' found in $PWD, but 'WORDPRESS_...' variables supplied; copying 'wp-config-docker.php'"
    awk '/put your unique phrase here/ {
            "head -c 32 /dev/urandom | sha256sum | cut -c 1-64; : " NR | getline phrase
            sub("put your unique phrase here", phrase)
        }
        { print }' wp-config-docker.php >wp-config.php
    [ "$(id -u)" != 0 ] || chown "$user:$group" wp-config.php
fi

exec "$@"
