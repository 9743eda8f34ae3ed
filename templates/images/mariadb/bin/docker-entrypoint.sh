#!/bin/bash
# Makes the database at the first start from MARIADB_* (or MYSQL_*) variables and the files in
# /docker-entrypoint-initdb.d, then becomes the server, as the user mysql.
set -eo pipefail
shopt -s nullglob

note() { echo "$(date --iso-8601=seconds) [Note] [Entrypoint]: $*"; }
die() {
    echo "$(date --iso-8601=seconds) [ERROR] [Entrypoint]: $*" >&2
    exit 1
}

# setting NAME: the value of MARIADB_NAME or MYSQL_NAME, or of the file that NAME_FILE names.
setting() {
    local name both
    for name in "MARIADB_$1" "MYSQL_$1"; do
        both="${name}_FILE"
        if [ -n "${!name}" ] && [ -n "${!both}" ]; then
            die "both $name and $both are set (but are exclusive)"
        elif [ -n "${!name}" ]; then
            printf '%s' "${!name}"
            return
        elif [ -n "${!both}" ]; then
            [ -r "${!both}" ] || die "$both names ${!both}, which cannot be read"
            printf '%s' "$(<"${!both}")"
            return
        fi
    done
}

# server_option NAME: what the command line or the configuration says, the last one counting.
server_option() {
    local name=$1 argument found
    found=$(my_print_defaults mysqld server mariadb mariadbd | sed -n "s/^--$name=//p" | tail -n 1)
    for argument in "${command[@]}"; do
        case $argument in "--$name="*) found=${argument#*=} ;; esac
    done
    printf '%s' "$found"
}

# A string and a name in SQL.
text() { local s=${1//\\/\\\\}; printf "'%s'" "${s//\'/\\\'}"; }
name() { printf '`%s`' "${1//\`/\`\`}"; }

sql() { mariadb --defaults-file=<(printf '[client]\npassword="%s"\n' "${root_password//[\"\\]/\\&}") \
    --protocol=socket --socket="$socket" -uroot --binary-mode "$@"; }

start_temporary() {
    note "Starting temporary server"
    "${command[@]}" --skip-networking --socket="$socket" --skip-slave-start --wsrep-on=OFF \
        --loose-innodb-buffer-pool-load-at-startup=0 &
    server=$!
    local try
    for try in {1..300}; do
        root_password='' sql --database=mysql -e 'SELECT 1' &>/dev/null && break
        kill -0 "$server" 2>/dev/null || die "Unable to start server: see the messages above."
        [ "$try" != 300 ] || die "Unable to start server within 60 seconds."
        sleep 0.2
    done
    note "Temporary server started."
}

stop_temporary() {
    note "Stopping temporary server"
    kill "$server"
    wait "$server" || die "The temporary server did not stop as it should."
    note "Temporary server stopped"
}

run_file() {
    case $1 in
    *.sh)
        if [ -x "$1" ]; then
            note "running $1"
            "$1"
        else
            note "sourcing $1"
            # shellcheck disable=SC1090
            . "$1"
        fi
        ;;
    *.sql) note "running $1"; sql ${database:+--database="$database"} <"$1" ;;
    *.sql.gz) note "running $1"; gunzip -c "$1" | sql ${database:+--database="$database"} ;;
    *.sql.xz) note "running $1"; xzcat "$1" | sql ${database:+--database="$database"} ;;
    *.sql.zst) note "running $1"; zstd -dc "$1" | sql ${database:+--database="$database"} ;;
    *) note "ignoring $1" ;;
    esac
}

# For healthcheck.sh: a user who may log in from inside, and nothing else.
create_healthcheck_user() {
    local password host
    password=$(pwgen --numerals --capitalize --symbols --remove-chars="'\\\"" -1 32)
    for host in localhost 127.0.0.1 ::1; do
        echo "CREATE USER IF NOT EXISTS healthcheck@$(text "$host") IDENTIFIED BY $(text "$password");"
    done
    (umask 077 && printf '[mariadb-client]\nuser=healthcheck\npassword=%s\nsocket=%s\n' \
        "'$password'" "$socket" >"$data/.my-healthcheck.cnf")
}

# All statements that make users and the database out of the settings.
first_statements() {
    local host=${root_host:-%} secret
    echo "SET @@SESSION.SQL_LOG_BIN=0;"
    echo "SET @@SESSION.SQL_MODE=REPLACE(@@SESSION.SQL_MODE, 'NO_BACKSLASH_ESCAPES', '');"
    if [ -n "$root_hash" ]; then secret="PASSWORD $(text "$root_hash")"; else secret=$(text "$root_password"); fi
    if [ "$host" != localhost ]; then
        echo "CREATE USER root@$(text "$host") IDENTIFIED BY $secret;"
        echo "GRANT ALL ON *.* TO root@$(text "$host") WITH GRANT OPTION;"
        echo "GRANT PROXY ON ''@'%' TO root@$(text "$host") WITH GRANT OPTION;"
    fi
    create_healthcheck_user
    if [ -n "$database" ]; then
        note "Creating database $database" >&2
        echo "CREATE DATABASE IF NOT EXISTS $(name "$database");"
    fi
    if [ -n "$user" ]; then
        note "Creating user $user" >&2
        if [ -n "$user_hash" ]; then secret="PASSWORD $(text "$user_hash")"; else secret=$(text "$password"); fi
        echo "CREATE USER $(text "$user")@'%' IDENTIFIED BY $secret;"
        if [ -n "$database" ]; then
            note "Giving user $user access to schema $database" >&2
            local pattern=${database//_/\\_}
            echo "GRANT ALL ON $(name "${pattern//%/\\%}").* TO $(text "$user")@'%';"
        fi
    fi
    # Last: from here on root needs its password.
    if [ -n "$root_hash" ]; then
        echo "SET PASSWORD FOR root@localhost = $(text "$root_hash");"
    else
        echo "SET PASSWORD FOR root@localhost = PASSWORD($(text "$root_password"));"
    fi
}

read_settings() {
    root_password=$(setting ROOT_PASSWORD)
    root_hash=$(setting ROOT_PASSWORD_HASH)
    root_host=$(setting ROOT_HOST)
    database=$(setting DATABASE)
    user=$(setting USER)
    password=$(setting PASSWORD)
    user_hash=$(setting PASSWORD_HASH)
    random=$(setting RANDOM_ROOT_PASSWORD)
    empty=$(setting ALLOW_EMPTY_PASSWORD)$(setting ALLOW_EMPTY_ROOT_PASSWORD)
    if [ -z "$root_password$root_hash$random$empty" ]; then
        die $'Database is uninitialized and password option is not specified\n' \
            $'\tYou need to specify one of the following as an environment variable:\n' \
            $'\t- MARIADB_ROOT_PASSWORD (or MYSQL_ROOT_PASSWORD)\n' \
            $'\t- MARIADB_ROOT_PASSWORD_HASH\n' \
            $'\t- MARIADB_ALLOW_EMPTY_ROOT_PASSWORD (or MYSQL_ALLOW_EMPTY_PASSWORD)\n' \
            $'\t- MARIADB_RANDOM_ROOT_PASSWORD (or MYSQL_RANDOM_ROOT_PASSWORD)'
    fi
    if [ "$user" = root ]; then
        die 'MARIADB_USER (or MYSQL_USER) is "root": it names a regular user beside root.' \
            'Remove it, and use MARIADB_ROOT_PASSWORD for the password of root.'
    fi
    if [ -n "$user" ] && [ -z "$password$user_hash" ]; then
        die "MARIADB_USER (or MYSQL_USER) is $user, but there is no password for it:" \
            "set MARIADB_PASSWORD (or MYSQL_PASSWORD) too."
    fi
}

initialise() {
    read_settings
    if [ -n "$random" ] && [ -z "$root_password$root_hash" ]; then
        root_password=$(pwgen --numerals --capitalize --symbols --remove-chars="'\\\"" -1 32)
        note "GENERATED ROOT PASSWORD: $root_password"
    fi
    note "Initializing database files"
    local log
    log=$(mariadb-install-db --datadir="$data" --rpm --auth-root-authentication-method=normal \
        --skip-test-db --skip-name-resolve "${options[@]}" --skip-log-bin 2>&1) \
        || die "The database files could not be made:"$'\n'"$log"
    note "Database files initialized"
    start_temporary
    note "Securing system users"
    first_statements | root_password='' sql --database=mysql
    local file
    for file in /docker-entrypoint-initdb.d/*; do
        run_file "$file"
    done
    stop_temporary
    note "MariaDB init process done. Ready for start up."
}

# An option first means options for the server.
[ "${1:0:1}" != - ] || set -- mariadbd "$@"

case $1 in mariadbd | mysqld) ;; *) exec "$@" ;; esac
for argument in "$@"; do
    case $argument in --help | -\? | --version | -V | --print-defaults) exec "$@" ;; esac
done

# Options that only MySQL has: the server is to ignore them, not to refuse to start.
command=()
while [ $# -gt 0 ]; do
    case ${1//_/-} in
    --default-authentication-plugin* | --authentication-policy* | --mysql-native-password* | --mysqlx* | --skip-mysqlx)
        option=$1
        case ${2:--} in -*) ;; *) [[ $option = *=* ]] || { option="$option=$2"; shift; } ;; esac
        command+=("--loose-${option#--}")
        ;;
    *) command+=("$1") ;;
    esac
    shift
done
options=("${command[@]:1}")

data=$(server_option datadir)
data=${data:-/var/lib/mysql}
data=${data%/}
socket=$(server_option socket)
socket=${socket:-/run/mysqld/mysqld.sock}

if [ "$(id -u)" = 0 ]; then
    mkdir -p "$data" "$(dirname "$socket")"
    find "$data" "$(dirname "$socket")" \! -user mysql -exec chown mysql: '{}' +
    note "Switching to dedicated user 'mysql'"
    exec setpriv --reuid mysql --regid mysql --init-groups "$0" "${command[@]}"
fi

[ -d "$data/mysql" ] || initialise
exec "${command[@]}"
