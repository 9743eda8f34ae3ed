mkdir -p /run/php
while true; do php-fpm8.2 --nodaemonize; sleep 1; done &
exec nginx -g 'daemon off;'
