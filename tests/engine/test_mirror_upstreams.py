"""The mirror before servers as people have them: a proxy for apt, an index that moves pages.

The servers are an nginx of the test's own on a network without a way out.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import pytest

from grader.engine import archive, node_image
from grader.engine.client import Engine
from grader.engine.mirror import config, making, origins, status
from tests.engine import execs

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = pytest.mark.engine

SERVERS = """\
events {}
http {
    default_type text/html;
    server { listen 3142; return 200 "$request $http_host\\n"; }
    server {
        listen 8080;
        location = /api/simple/moved/ { return 302 /api/simple/here/; }
        location = /api/simple/here/ {
            return 200 "<a href='http://files.test:8081/f/here-1.whl'>$http_x_evil</a>$args\\n";
        }
        location = /api/simple/secret/ { return 200 "$http_authorization\\n"; }
        location = /api/simple/away/ { return 302 http://files.test:8081/away; }
    }
    server { listen 8081; return 200 "file $request_uri $http_authorization\\n"; }
}
"""
INDEX = "http://tutor:word@index.test:8080/api/simple"


@pytest.fixture(scope="module")
def mirror(engine: Engine) -> Iterator[tuple[DockerClient, str]]:
    """A mirror's container (ID) in front of them."""
    plan = origins.plan(
        None,
        None,
        {"Acquire::http::Proxy": "http://proxy.test:3142"},
        {"index-url": INDEX},
        lambda _index: {"http://files.test:8081"},
        origins.Public("http://deb.dist.test/debian"),
    )
    name = f"drydock-test-{secrets.token_hex(4)}"
    files = {
        "drydock/nginx.conf": config.nginx(plan, making.IMAGE_BUNDLE).encode(),
        "drydock/dnsmasq.conf": config.dnsmasq(plan).encode(),
    }
    with contextlib.closing(engine.client()) as client, contextlib.ExitStack() as stack:
        network = client.api.create_network(name, driver="bridge", internal=True)["Id"]
        stack.callback(client.api.remove_network, network)
        aliases = ["proxy.test", "index.test", "files.test"]
        run = ["nginx", "-c", "/etc/servers.conf", "-g", "daemon off;"]
        image = node_image.ensure_mirror(engine)
        stack.enter_context(
            running(client, image, network, {"servers.conf": SERVERS.encode()}, run, aliases)
        )
        started = stack.enter_context(running(client, image, network, files, None, []))
        making.wait(client, started)
        yield client, started


@contextlib.contextmanager
def running(
    client: DockerClient,
    image: str,
    network: str,
    files: Mapping[str, bytes],
    entrypoint: list[str] | None,
    aliases: list[str],
) -> Iterator[str]:
    made = client.api.create_container(
        image,
        entrypoint=entrypoint,
        host_config=client.api.create_host_config(network_mode=network),
        networking_config=client.api.create_networking_config(
            {network: client.api.create_endpoint_config(aliases=aliases)}  # type: ignore[arg-type]
        ),
    )
    try:
        with archive.pack(files) as tar:
            client.api.put_archive(made["Id"], "/etc", tar)
        client.api.start(made["Id"])
        yield made["Id"]
    finally:
        client.api.remove_container(made["Id"], force=True, v=True)


def get(mirror: tuple[DockerClient, str], url: str, *arguments: str) -> str:
    """What the mirror answers to who asks for `url` in a sandbox."""
    client, container = mirror
    host = url.split("/")[2]
    port = host.partition(":")[2] or "80"
    name = host.partition(":")[0]
    to = [] if "--proxy" in arguments else ["--connect-to", f"{name}:{port}:127.0.0.1:{port}"]
    argv = ["curl", "-sS", "-m", "30", *to, *arguments, url]
    return execs.execute(client, container, argv)[1]


def test_apts_proxy_is_asked_for_the_whole_address(mirror: tuple[DockerClient, str]) -> None:
    path = "deb.dist.test/debian/dists/bookworm/InRelease"
    assert get(mirror, f"http://{path}") == f"GET http://{path} HTTP/1.1 deb.dist.test\n"
    package = "deb.dist.test/debian/pool/main/s/sl/sl_5.02-1+b1~x_amd64.deb"
    assert get(mirror, f"http://{package}") == f"GET http://{package} HTTP/1.1 deb.dist.test\n"


def test_through_the_proxys_port_the_same_is_to_be_had_and_no_more(
    mirror: tuple[DockerClient, str],
) -> None:
    proxy = ["--proxy", "http://127.0.0.1:3142"]
    path = "deb.dist.test/debian/dists/bookworm/Release"
    assert get(mirror, f"http://{path}", *proxy) == f"GET http://{path} HTTP/1.1 deb.dist.test\n"
    assert config.REFUSAL in get(mirror, "http://elsewhere.test/debian/pool/x.deb", *proxy)


def test_links_lead_back_to_the_mirror_also_on_a_page_that_has_moved(
    mirror: tuple[DockerClient, str],
) -> None:
    for page in ("here", "moved"):
        said = get(mirror, f"http://index.test:8080/api/simple/{page}/?evil", "-H", "X-Evil: evil")
        assert said == "<a href='http://files.test:8081/f/here-1.whl'></a>\n"


def test_the_indexs_password_goes_to_the_index_alone(mirror: tuple[DockerClient, str]) -> None:
    said = get(mirror, "http://index.test:8080/api/simple/secret/", "-H", "Authorization: Basic no")
    assert said == "Basic dHV0b3I6d29yZA==\n"
    assert get(mirror, "http://index.test:8080/api/simple/away/") == "file /away \n"
    assert get(mirror, "http://files.test:8081/f/here-1.whl") == "file /f/here-1.whl \n"


def test_of_many_that_ask_at_once_one_is_passed_on(mirror: tuple[DockerClient, str]) -> None:
    client, container = mirror

    def counted() -> tuple[int, int, int]:
        return status.counts(bytes(client.api.logs(container)).decode())

    hits, outside, _ = counted()
    url = "http://files.test:8081/f/many-1.whl"
    to = "files.test:8081:127.0.0.1:8081"
    script = f"for i in $(seq 20); do curl -sS --connect-to {to} {url} & done; wait"
    _, said = execs.execute(client, container, ["sh", "-c", script])
    assert said.count("file /f/many-1.whl") == 20
    deadline = time.monotonic() + 20
    while sum(counted()[:2]) < hits + outside + 20:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert counted()[:2] == (hits + 19, outside + 1)
