#!/bin/sh
# Another command than the image's own is run as it is.
set -e
if [ "$1" = nginx ]; then
    php-fpm --daemonize
fi
exec "$@"
