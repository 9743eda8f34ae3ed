#!/bin/sh
# Runs what lies in /docker-entrypoint.d before nginx starts, in order of names.
set -e

case $1 in
nginx | nginx-debug)
    for file in /docker-entrypoint.d/*; do
        case $file in
        *.envsh)
            [ ! -x "$file" ] || . "$file"
            ;;
        *.sh)
            if [ -x "$file" ]; then
                "$file"
            else
                echo "$0: ignoring $file, not executable" >&2
            fi
            ;;
        esac
    done
    ;;
esac

exec "$@"
