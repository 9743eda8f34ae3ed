"""The web images behave like the official ones where students rely on it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from grader.modules import http
from grader.waiting import wait_until
from tests.engine.images.box import Box, Running

pytestmark = pytest.mark.engine


def test_nginx_serves_pages_and_sites_where_they_are_expected(box: Box) -> None:
    site = "server { listen 80; location /own { return 200 'own site'; } root /pages; }"
    image = box.build(
        {
            "Dockerfile": "FROM nginx\nCOPY page.html /usr/share/nginx/html/\n"
            "COPY extra.conf /etc/nginx/conf.d/extra.conf\n",
            "page.html": "a page",
            "extra.conf": site.replace("80", "8080"),
        }
    )
    with box.running(image, port=80) as web:
        assert "Welcome to nginx!" in web.get().text
        assert web.get("/page.html").text == "a page"
        assert web.out("curl", "-s", "http://127.0.0.1:8080/own") == "own site"


def test_nginx_logs_to_the_container_and_stops_in_order(box: Box) -> None:
    with box.running("nginx:1.22", port=80) as web:
        assert web.get("/nowhere").status == 404
        assert wait_until(lambda: "GET /nowhere" in web.log(stderr=False), within=5)
        assert "No such file" in web.log(stdout=False)
        assert web.container.attrs["Config"]["StopSignal"] == "SIGQUIT"
        assert web.stop() == 0
        assert "gracefully shutting down" in web.log()


def test_nginx_fills_templates_from_the_environment(box: Box) -> None:
    image = box.build(
        {
            "Dockerfile": "FROM nginx\nCOPY site.conf.template /etc/nginx/templates/\n"
            "RUN rm /etc/nginx/conf.d/default.conf\n",
            "site.conf.template": "server { listen 80; return 200 '${GREETING} $uri'; }",
        }
    )
    with box.running(image, port=80, environment={"GREETING": "hello"}) as web:
        assert web.get("/there").text == "hello /there"


@pytest.fixture(scope="module")
def php(box: Box) -> Iterator[Running]:
    with box.running("php:8.2-fpm", environment={"COLOUR": "blue"}) as container:
        yield container


def test_php_fpm_answers_on_port_9000_with_the_environment(box: Box, php: Running) -> None:
    page = "<?php error_log('seen'); echo getenv('COLOUR'), ' ', PHP_SAPI, ' ', 6 * 7;"
    php.out("sh", "-c", 'printf %s "$PAGE" > /var/www/html/index.php', environment={"PAGE": page})
    site = (
        "server { listen 80; location / { include fastcgi_params; fastcgi_pass php:9000; "
        "fastcgi_param SCRIPT_FILENAME /var/www/html/index.php; } }"
    )
    image = box.build(
        {"Dockerfile": "FROM nginx\nCOPY default.conf /etc/nginx/conf.d/\n", "default.conf": site}
    )
    address = php.out("hostname", "-i")
    with box.running(image, port=80, extra_hosts={"php": address}) as web:
        assert web.get().text == "blue fpm-fcgi 42"
    assert wait_until(lambda: "seen" in php.log(stdout=False), within=5)
    assert wait_until(lambda: '"GET /" 200' in php.log(stdout=False), within=5)


def test_php_has_a_command_line_and_its_settings_under_usr_local(php: Running) -> None:
    assert php.out("php", "-r", "echo PHP_VERSION;").startswith("8.2.")
    assert php.out("pwd") == "/var/www/html"
    php.out("sh", "-c", 'cp "$PHP_INI_DIR/php.ini-production" "$PHP_INI_DIR/php.ini"')
    php.out("sh", "-c", 'echo "memory_limit = 77M" > "$PHP_INI_DIR/conf.d/own.ini"')
    assert php.out("php", "-r", "echo ini_get('memory_limit');") == "77M"
    assert "/usr/local/etc/php/php.ini" in php.out("php", "--ini")


def test_php_extensions_are_installed_by_the_official_script(box: Box) -> None:
    image = box.build(
        {"Dockerfile": "FROM php:8.2-fpm\nRUN docker-php-ext-install pdo_mysql mysqli\n"}
    )
    assert "mysqli" in box.output(image, ["php", "-m"])


def test_php_fpm_stops_in_order(box: Box) -> None:
    with box.running("php:8.2-fpm") as php:
        assert wait_until(lambda: "ready to handle connections" in php.log(), within=10)
        assert php.container.attrs["Config"]["StopSignal"] == "SIGQUIT"
        assert php.stop() == 0


@contextlib.contextmanager
def blog(
    box: Box, database: str, db: dict[str, str], web: dict[str, str], **options: Any
) -> Iterator[tuple[Running, Running]]:
    """WordPress with a database, each with the settings that students give."""
    network = box.docker.networks.create("blog")
    db = {"MYSQL_DATABASE": "blue_db", "MYSQL_USER": "writer", **db}
    web = {
        "WORDPRESS_DB_HOST": "db:3306",
        "WORDPRESS_DB_USER": "writer",
        "WORDPRESS_DB_NAME": "blue_db",
        **web,
    }
    options["network"] = "blog"
    try:
        with (
            box.running(database, name="db", environment=db, **options) as store,
            box.running("wordpress", port=80, environment=web, **options) as site,
        ):
            # Until the database answers, the visitor is told so, as by the official image.
            assert wait_until(lambda: site.get("/wp-admin/install.php").status == 200, within=60), (
                store.log() + site.log()
            )
            yield store, site
    finally:
        network.remove()


def test_wordpress_installs_itself_into_the_database(box: Box) -> None:
    password = "p$a'ss"
    with blog(
        box,
        "mariadb:10.11",
        {"MYSQL_ROOT_PASSWORD": 'root\'s "own"', "MYSQL_PASSWORD": password},
        {"WORDPRESS_DB_PASSWORD": password, "WORDPRESS_TABLE_PREFIX": "heron_"},
    ) as (db, web):
        assert web.get().status == 302
        form = {
            "weblog_title": "Blue Heron",
            "user_name": "admin",
            "admin_password": "a-long-secret-1",
            "admin_password2": "a-long-secret-1",
            "admin_email": "admin@example.org",
        }
        done = http.post(web.address, web.port, "/wp-admin/install.php?step=2", form)
        assert done is not None
        assert "Success!" in done.text
        assert "Blue Heron" in web.get().text
        tables = db.out("mysql", "-uwriter", f"-p{password}", "blue_db", "-e", "SHOW TABLES")
        assert "heron_posts" in tables
        assert [mount["Destination"] for mount in web.container.attrs["Mounts"]] == [
            "/var/www/html"
        ]
        assert "GET /wp-admin/install.php" in web.log(stderr=False)
        assert web.container.attrs["Config"]["StopSignal"] == "SIGWINCH"
        assert web.stop() == 0


def test_wordpress_and_the_database_read_secrets_from_files(box: Box) -> None:
    box.node.put({"own": b"s3cret\n", "root": b"r00t\n"}, "/secrets")
    with blog(
        box,
        "mysql:8",
        {
            "MYSQL_ROOT_PASSWORD_FILE": "/run/secrets/root",
            "MYSQL_PASSWORD_FILE": "/run/secrets/own",
        },
        {"WORDPRESS_DB_PASSWORD_FILE": "/run/secrets/own"},
        volumes={"/secrets": {"bind": "/run/secrets", "mode": "ro"}},
    ) as (db, _):
        assert db.out("mysql", "-uroot", "-pr00t", "-N", "-e", "SELECT 1") == "1"


def test_wordpress_without_its_database_says_so_to_the_visitor(box: Box) -> None:
    with box.running("wordpress:6", port=80, environment={"WORDPRESS_DB_HOST": "nobody"}) as web:
        answer = web.get("/")
        assert answer.status == 500
        assert "database" in answer.text


def test_wordpress_keeps_what_is_in_its_folder(box: Box) -> None:
    volume = box.docker.volumes.create("wordpress-files")
    volumes = {volume.name: {"bind": "/var/www/html"}}
    with box.running("wordpress:6", port=80, volumes=volumes) as web:
        web.get()
        web.out("sh", "-c", "echo mine > wp-content/mine.txt; rm readme.html")
    with box.running("wordpress:6", port=80, volumes=volumes) as web:
        assert web.get("/wp-content/mine.txt").text == "mine\n"
        assert web.get("/readme.html").status == 404
    volume.remove()


@pytest.mark.parametrize(
    ("tag", "health"),
    [("drydock/demo:1.0", 200), ("drydock/demo:2.0", 200), ("drydock/demo:3.0", 503)],
)
def test_the_demo_says_version_host_and_how_it_is(box: Box, tag: str, health: int) -> None:
    """Whoever runs it brings the health check; the broken version does not even end well."""
    with box.running(tag, port=80, hostname="berth") as demo:
        assert demo.get().text == f"version {tag.rsplit(':')[1]} host berth\n"
        assert demo.get("/health").status == health
        assert "Health" not in demo.container.attrs["State"], "it has no check of its own"
        checked, _ = demo.execute("curl", "--fail", "--silent", "http://127.0.0.1/health")
        assert (checked == 0) == (health == 200)
        assert demo.stop() == (0 if health == 200 else 1)
