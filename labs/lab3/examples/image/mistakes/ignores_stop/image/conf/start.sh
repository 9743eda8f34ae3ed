#!/bin/bash
# PHP-FPM goes to the background; nginx takes this script's place as the container's first process,
# so that it, and not a shell, gets the signal of `docker stop`.
set -e
php-fpm8.2 --daemonize --fpm-config /etc/page/php-fpm.conf
nginx -c /etc/page/nginx.conf -g "daemon off;"
