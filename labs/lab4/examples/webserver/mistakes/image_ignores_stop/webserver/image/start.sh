#!/bin/bash
set -e
php-fpm8.2 --daemonize
nginx -g "daemon off;"
echo "nginx has ended"
