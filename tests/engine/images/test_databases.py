"""mariadb, mysql and redis behave like the official images where students rely on it."""

from __future__ import annotations

import gzip

import pytest

from grader.waiting import wait_until
from tests.engine.images.box import Box, Running

pytestmark = pytest.mark.engine


def ready(db: Running) -> None:
    """Until the server that stays answers on its port."""
    healthy = ("healthcheck.sh", "--connect", "--innodb_initialized")
    assert wait_until(lambda: db.execute(*healthy)[0] == 0, within=60), db.log()


def query(db: Running, statement: str, *options: str) -> str:
    return db.out("mysql", *options, "-N", "-e", statement)


@pytest.mark.parametrize("image", ["mariadb:10.11", "mysql:8"])
def test_without_a_password_the_database_says_what_it_needs(box: Box, image: str) -> None:
    with box.running(image) as db:
        assert db.container.wait(timeout=30)["StatusCode"] == 1
        assert "password option is not specified" in db.log(stdout=False)
        assert "MARIADB_ROOT_PASSWORD" in db.log()
        assert "MYSQL_ROOT_PASSWORD" in db.log()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"MYSQL_USER": "root", "MYSQL_PASSWORD": "x"}, 'is "root"'),
        ({"MYSQL_USER": "u"}, "no password for it"),
        ({"MYSQL_ROOT_PASSWORD_FILE": "/etc/hostname"}, "exclusive"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    box: Box, settings: dict[str, str], says: str
) -> None:
    with box.running("mysql:8", environment={"MYSQL_ROOT_PASSWORD": "r", **settings}) as db:
        assert db.container.wait(timeout=30)["StatusCode"] == 1
        assert says in db.log(stdout=False)


def test_first_start_makes_database_users_and_runs_the_files(box: Box) -> None:
    box.node.put(
        {
            "1-table.sql": b"CREATE TABLE t (n INT); INSERT INTO t VALUES (1);",
            "2-more.sql.gz": gzip.compress(b"INSERT INTO t VALUES (2);"),
            "3-script.sh": b'echo "script for $MARIADB_DATABASE"\n',
        },
        "/init",
    )
    with box.running(
        "mariadb:10.11",
        environment={
            "MARIADB_ROOT_PASSWORD": 'ro\'ot \\ "x"',
            "MARIADB_DATABASE": "blue_db",
            "MARIADB_USER": "writer",
            "MARIADB_PASSWORD": "p$a'ss",
        },
        volumes={"/init": {"bind": "/docker-entrypoint-initdb.d", "mode": "ro"}},
    ) as db:
        ready(db)
        assert query(db, "SELECT SUM(n) FROM t", "-uwriter", "-pp$a'ss", "blue_db") == "3"
        assert "script for blue_db" in db.log()
        assert query(db, "SELECT USER()", "-uroot", '-pro\'ot \\ "x"') == "root@localhost"
        over_network = ("-h", db.out("hostname", "-i"), "-uroot", '-pro\'ot \\ "x"')
        assert query(db, "SHOW DATABASES LIKE 'blue%'", *over_network) == "blue_db"
        # The user has this database and no other, also none that a wildcard would match.
        code, said = db.execute("mysql", "-uwriter", "-pp$a'ss", "-e", "CREATE DATABASE blueXdb")
        assert (code, "denied" in said) == (1, True)
        code, said = db.execute("mysql", "-uroot", "-e", "SELECT 1")
        assert (code, "denied" in said) == (1, True)
        # While the data were made the server had no port.
        log = db.log()
        assert log.index("port: 0") < log.index("init process done") < log.index("port: 3306")
        places = {mount["Destination"] for mount in db.container.attrs["Mounts"]}
        assert places == {"/var/lib/mysql", "/docker-entrypoint-initdb.d"}
        assert db.out("cat", "/proc/1/comm") == "mariadbd"
        assert db.out("stat", "-c", "%U", "/proc/1") == "mysql"
        assert db.stop() == 0


def test_data_survive_a_new_container_and_settings_count_once(box: Box) -> None:
    volume = box.docker.volumes.create("db-data")
    volumes = {volume.name: {"bind": "/var/lib/mysql"}}
    first = {"MYSQL_ROOT_PASSWORD": "first", "MYSQL_DATABASE": "kept"}
    with box.running("mysql:8", environment=first, volumes=volumes) as db:
        ready(db)
        query(db, "CREATE TABLE kept.t (n INT)", "-uroot", "-pfirst")
        assert db.out("mysqladmin", "ping", "-uroot", "-pfirst") == "mysqld is alive"
    # Not stopped in order, and started with another password: as with the official image
    # the old one counts.
    with box.running(
        "mysql:8", environment={"MYSQL_ROOT_PASSWORD": "second"}, volumes=volumes
    ) as db:
        ready(db)
        assert query(db, "SHOW TABLES IN kept", "-uroot", "-pfirst") == "t"
        assert "Initializing database files" not in db.log()
    volume.remove()


def test_random_and_empty_passwords(box: Box) -> None:
    with box.running("mariadb:10.11", environment={"MARIADB_RANDOM_ROOT_PASSWORD": "1"}) as db:
        ready(db)
        (line,) = [line for line in db.log().splitlines() if "GENERATED ROOT PASSWORD: " in line]
        password = line.split("PASSWORD: ")[1]
        assert query(db, "SELECT 1", "-uroot", f"-p{password}") == "1"
    with box.running("mysql", environment={"MYSQL_ALLOW_EMPTY_PASSWORD": "yes"}) as db:
        ready(db)
        assert query(db, "SELECT 1", "-uroot") == "1"


def test_options_for_the_server_count_and_mysqls_own_do_no_harm(box: Box) -> None:
    with box.running(
        "mysql:8",
        ["--default-authentication-plugin=mysql_native_password", "--max-connections=17"],
        environment={"MYSQL_ROOT_PASSWORD": "r"},
    ) as db:
        ready(db)
        assert query(db, "SELECT @@max_connections", "-uroot", "-pr") == "17"


def test_healthcheck_script_knows_that_the_server_is_still_being_made(box: Box) -> None:
    box.node.put({"wait.sh": b"until [ -e /tmp/go ]; do sleep 0.1; done\n"}, "/slow")
    with box.running(
        "mariadb",
        environment={"MARIADB_ROOT_PASSWORD": "r"},
        volumes={"/slow": {"bind": "/docker-entrypoint-initdb.d", "mode": "ro"}},
    ) as db:
        assert wait_until(lambda: "sourcing /docker-entrypoint-initdb.d" in db.log(), within=60)
        # The classic trap: the temporary server answers on its socket.
        assert db.execute("mariadb-admin", "ping", "-pr")[0] == 0
        assert db.execute("healthcheck.sh", "--connect", "--innodb_initialized")[0] == 1
        db.out("touch", "/tmp/go")
        ready(db)
        assert db.execute("healthcheck.sh")[0] == 1
        assert db.execute("healthcheck.sh", "--nonsense")[0] == 1


def test_redis_answers_everybody_and_keeps_its_data_when_stopped(box: Box) -> None:
    volume = box.docker.volumes.create("redis-data")
    volumes = {volume.name: {"bind": "/data"}}
    with box.running("redis:7", volumes=volumes) as redis:
        assert wait_until(lambda: redis.execute("redis-cli", "ping")[1] == "PONG\n", within=10)
        address = redis.out("hostname", "-i")
        other = box.output("redis:alpine", ["redis-cli", "-h", address, "incrby", "hits", "41"])
        assert other.strip() == "41"
        assert redis.out("stat", "-c", "%U", "/proc/1") == "redis"
        assert redis.out("cat", "/proc/1/comm") == "redis-server"
        assert redis.stop() == 0
    with box.running("redis", volumes=volumes) as redis:
        assert wait_until(
            lambda: redis.execute("redis-cli", "incr", "hits")[1] == "42\n", within=10
        )
    volume.remove()
    data = box.docker.images.get("redis:7").attrs["Config"]["Volumes"]
    assert list(data) == ["/data"]


@pytest.mark.parametrize(
    ("command", "asked", "told"),
    [
        (["--appendonly", "yes"], "appendonly", "yes"),
        (
            ["redis-server", "--requirepass", "x", "--protected-mode", "yes"],
            "protected-mode",
            "yes",
        ),
        (["redis-server", "/conf/own.conf"], "maxmemory", "1048576"),
        (["redis-server", "/conf/own.conf"], "protected-mode", "no"),
        (["/conf/strict.conf"], "protected-mode", "yes"),
    ],
)
def test_redis_takes_options_and_files_as_usual(
    box: Box, command: list[str], asked: str, told: str
) -> None:
    files = {"own.conf": b"maxmemory 1mb\n", "strict.conf": b"protected-mode yes\n"}
    box.node.put(files, "/redis-conf")
    with box.running(
        "redis:7", command, volumes={"/redis-conf": {"bind": "/conf", "mode": "ro"}}
    ) as redis:
        ask = ["redis-cli", "--no-auth-warning", "-a", "x", "config", "get", asked]
        found = wait_until(
            lambda: redis.execute(*ask)[1].strip().splitlines()[-2:] == [asked, told], within=10
        )
        assert found, redis.execute(*ask)[1]
