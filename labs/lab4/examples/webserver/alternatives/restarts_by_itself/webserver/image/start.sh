mkdir -p /run/php
while true; do php-fpm8.2 --nodaemonize -d listen=/run/php/php-fpm.sock; sleep 1; done &
exec nginx -g 'daemon off;'
