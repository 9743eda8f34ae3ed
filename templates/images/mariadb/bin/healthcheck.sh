#!/bin/bash
# healthcheck.sh --connect --innodb_initialized: true if the server is in that state.
# The tests are made in the order given; other options of the official script are refused.
set -eo pipefail

credentials=/var/lib/mysql/.my-healthcheck.cnf

ask() { # ask PROTOCOL STATEMENT
    mariadb ${credentials:+--defaults-extra-file="$credentials"} \
        -h localhost --protocol "$1" --skip-column-names --batch -e "$2" 2>&1
}

# The server answers on its port: while it is still being made it has none. That it refuses the
# password is an answer, too.
connect() {
    local answer
    answer=$(ask tcp 'SELECT 1') || [[ $answer = *'ERROR 1045 '* ]]
}

innodb_initialized() {
    [ "$(ask socket "SELECT 1 FROM information_schema.ENGINES
        WHERE engine = 'innodb' AND support IN ('YES', 'DEFAULT', 'ENABLED')")" = 1 ]
}

innodb_buffer_pool_loaded() {
    [ "$(ask socket "SELECT 1 FROM information_schema.GLOBAL_STATUS
        WHERE VARIABLE_NAME = 'Innodb_buffer_pool_load_status'
          AND VARIABLE_VALUE LIKE '%completed%'")" = 1 ]
}

[ $# -gt 0 ] || { echo "At least one argument required" >&2; exit 1; }
[ -r "$credentials" ] || credentials=
while [ $# -gt 0 ]; do
    case $1 in
    --su-mysql | --no-defaults | --no-connect) ;;
    --su=*) ;;
    --connect | --innodb_initialized | --innodb_buffer_pool_loaded)
        "${1#--}" || { echo "healthcheck ${1#--} failed" >&2; exit 1; }
        ;;
    *)
        echo "healthcheck.sh: unknown option $1" >&2
        exit 1
        ;;
    esac
    shift
done
