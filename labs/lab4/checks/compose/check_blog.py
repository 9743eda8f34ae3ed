"""Checks of the blog, in the order of testing by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from grader.checks import check, fail
from grader.modules.probe import reachable

from .app import read, refuse_foreign_images, require_services
from .blog import DATABASE_PORT, Blog, healthy_at, started_at

# Its files ----------------------------------------------------------------------------------


@check(points=0.5, needs_engine=False)
def check_blog_file(submission: Path) -> None:
    """blog/ has a compose file that can be read."""
    read(submission, "blog")


@check(points=0.5, needs=["blog_file"], needs_engine=False)
def check_blog_images(submission: Path, lab: Any) -> None:
    """The blog uses only images of this lab."""
    refuse_foreign_images(submission, "blog", lab)


@check(points=0.5, needs=["blog_file"], needs_engine=False)
def check_blog_services(submission: Path) -> None:
    """The blog's services are called wordpress and db."""
    require_services(submission, "blog", "wordpress", "db")


# What it does -------------------------------------------------------------------------------


@check(
    points=0.5,
    needs=["blog_images", "blog_services"],
    hint="`docker compose ps -a` shows what ended, `docker compose logs SERVICE` shows why.",
)
def check_blog_starts(blog: Blog, stage: Any) -> None:
    """`docker compose up -d` starts WordPress and its database, and both keep running."""
    with stage("deploy"):
        blog.first_up()
    blog.must_run()


@check(
    points=0.5,
    needs=["blog_starts"],
    hint="WORDPRESS_DB_HOST, _USER, _PASSWORD and _NAME must be the values that db was created "
    "with, and both services need a common network.",
)
def check_blog_page(blog: Blog) -> None:
    """WordPress shows its installation page: it has reached its database."""
    if not blog.wait_for(blog.reached):
        fail(
            "There is no installation page.",
            expected="WordPress' installation page at a published port of wordpress",
            actual=blog.instead(),
            log=blog.transcript(),
        )


@check(points=0.5, needs=["blog_starts"], hint='Write "HOST:80" under ports: of wordpress.')
def check_blog_port(blog: Blog, variant: dict[str, Any]) -> None:
    """WordPress answers at your port."""
    wanted = variant["blog_port"]
    ports = [port for port in blog.ports("wordpress") if port.host_port == wanted]
    if not any(blog.visit(port) for port in ports):
        fail(
            f"WordPress does not answer at port {wanted}.",
            expected=f"port 80 of wordpress published at {wanted}",
            actual=blog.ports_in_words("wordpress"),
        )


@check(
    points=1,
    needs=["blog_starts"],
    hint="Give db a `healthcheck:` that asks the database. Give wordpress a `depends_on:` with "
    "`db:` and, below it, `condition: service_healthy`.",
)
def check_blog_order(blog: Blog) -> None:
    """WordPress starts only when the database is healthy, and healthy means that it answers."""
    db, wordpress = blog.one("db"), blog.one("wordpress")
    if not db.healthcheck:
        fail("The service db has no health check.", actual=db.in_words)
    blog.hands_off()
    healthy, started = healthy_at(blog.events, db.id), started_at(blog.events, wordpress.id)
    if healthy is None or started is None or started < healthy:
        fail(
            "WordPress was started before the database was healthy.",
            expected="wordpress starts after db's first healthy result",
            actual=blog.order_in_words(db, wordpress),
        )
    if blog.lies_without_database(db):
        fail(
            "db's health check passes even when no database runs.",
            expected="a command that fails while the database does not answer",
            actual=" ".join(db.healthcheck),
        )


@check(
    points=0.5,
    needs=["blog_starts"],
    hint="Write NAME:/var/lib/mysql under volumes: of db, and NAME: under volumes: at the left "
    "edge of the file.",
)
def check_blog_volume(blog: Blog, variant: dict[str, Any]) -> None:
    """The database has your named volume."""
    wanted = variant["db_volume"]
    names = {v.name for v in blog.project.volumes() if v.key == wanted} | {wanted}
    mounts = blog.one("db").mounts
    if not any(m.kind == "volume" and m.name in names for m in mounts):
        fail(
            "The volume is not in the service db.",
            expected=f"a volume named {wanted}",
            actual="; ".join(m.in_words for m in mounts) or "no volume",
        )


@check(
    points=0.5,
    needs=["blog_starts"],
    hint="Remove ports: from db. WordPress reaches it in their network without ports:.",
)
def check_blog_not_published(blog: Blog) -> None:
    """The database is not published on the host."""
    db = blog.one("db")
    if db.published or blog.database_answers(db):
        fail(
            "The database can be reached from outside.",
            expected="no port of db published",
            actual=blog.ports_in_words("db"),
        )


@check(
    points=1,
    needs=["blog_starts"],
    hint="wordpress must be in both networks, db only in the back network. List the networks of "
    "each service under its `networks:`.",
)
def check_blog_front(blog: Blog, variant: dict[str, Any]) -> None:
    """WordPress can be reached from your front network; its database cannot."""
    front = blog.network(variant["front_network"])
    if front is None:
        fail(
            f"There is no network {variant['front_network']}.",
            actual=", ".join(n.key for n in blog.project.networks()) or "no networks",
        )
    db = blog.one("db")
    page, by_name = ("wordpress", 80), ("db", DATABASE_PORT)
    by_address = [(address, DATABASE_PORT) for address in db.networks.values() if address]
    own = next(iter(db.networks), None)
    # First that the probe finds what is open: else it proves nothing to find something closed.
    if own is None or not reachable(blog.node, own, [by_name], wait_seconds=20)[by_name]:
        fail(
            "The database does not answer in its own network.",
            expected=f"db answers at port {DATABASE_PORT} in the network {own}",
            actual=db.in_words,
            log=blog.transcript(),
        )
    seen = reachable(blog.node, front, [page, by_name, *by_address])
    if not seen.pop(page):
        fail(
            "WordPress is not in the front network.",
            expected=f"wordpress answers at port 80 in the network {variant['front_network']}",
            actual=f"wordpress is in {', '.join(blog.one('wordpress').networks)}",
        )
    found = [host for (host, _), is_open in seen.items() if is_open]
    if found:
        fail(
            "The database can be reached from the front network.",
            expected=f"no answer from db in the network {variant['front_network']}",
            actual=f"{found[0]} answers at port {DATABASE_PORT}; db is in {', '.join(db.networks)}",
        )


@check(
    points=0.5,
    needs=["blog_page"],
    hint="Look at `docker compose logs wordpress` while you install it in the browser.",
)
def check_blog_installs(blog: Blog) -> None:
    """WordPress can be installed through its page, and then shows the blog's title."""
    blog.install()


@check(
    points=1,
    needs=["blog_installs"],
    hint="db creates the database and the user only at its first start, from its environment. "
    "After a change there: `docker compose down --volumes`, then `up` (this deletes its data).",
)
def check_blog_database(blog: Blog, variant: dict[str, Any]) -> None:
    """WordPress's data are in your database, and your database user can read them."""
    user, database = str(variant["db_user"]), str(variant["db_name"])
    asked = blog.ask_database(str(variant["db_image"]), user, str(variant["db_password"]), database)
    if blog.title not in asked.out:
        fail(
            "Your database user does not find the blog in your database.",
            expected=f"the title {blog.title}, as user {user} in the database {database}",
            actual=asked.tail(3) or "nothing",
        )


@check(
    points=1,
    needs=["blog_starts"],
    hint="Give both services a restart policy, such as `restart: unless-stopped`.",
)
def check_blog_restarts(blog: Blog) -> None:
    """Both containers restart by themselves after their program was killed."""
    if blog.own:
        blog.require_restart_policies()
        return
    blog.ensure_up()
    killed = [blog.one("db"), blog.one("wordpress")]
    blog.at_rest = False
    blog.kill(*killed)
    if not blog.come_back(killed, within=30):
        gone = [c.service for c in blog.gone(killed)]
        fail(
            f"After its program was killed, {' and '.join(gone)} did not restart.",
            expected="a new start within 30 seconds",
            actual=blog.state(*gone),
        )
    if blog.installed and not blog.wait_for(blog.shows_title):
        fail(
            "The containers run again after the kill, but the blog does not answer.",
            expected=f"the blog with the title {blog.title}",
            actual=blog.instead(),
            log=blog.transcript(),
        )
    blog.at_rest = True


@check(
    points=1,
    needs=["blog_installs"],
    hint="`down` removes containers; everything outside a named volume is lost. MariaDB and MySQL"
    " keep everything in /var/lib/mysql.",
)
def check_blog_keeps_data(blog: Blog) -> None:
    """The blog is still there after `docker compose down` and `up -d`."""
    blog.must(blog.project.down(), "down")
    if blog.containers():
        fail("`docker compose down` left containers.", actual=blog.state())
    blog.up()
    if not blog.wait_for(blog.shows_title):
        fail(
            "After `docker compose down` and `up -d` the blog is not the same.",
            expected=f"the blog with the title {blog.title}",
            actual=blog.instead(),
            log=blog.transcript(),
        )
