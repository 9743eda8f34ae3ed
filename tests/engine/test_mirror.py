"""The class mirror: packages come through it and are kept; nothing else is to be reached."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from grader.engine import archive, engine_paths, find, mirror, node_image, pools
from grader.engine.client import Engine
from grader.engine.images.sets import ImageSet
from grader.engine.mirror import config, making, origins, status
from grader.engine.sandbox import Sandbox
from grader.errors import EngineFault
from grader.modules.image import build_image
from grader.modules.packages import blame_the_network, come
from grader.nodes.node import Completed, Node

pytestmark = pytest.mark.engine

PUBLIC = origins.read_public()
DEB, PYPI, FILES = (urlsplit(url).hostname for url in (PUBLIC.debian, PUBLIC.index, PUBLIC.files))
"""What apt and pip ask if no one tells them where to."""

APT = b"FROM debian:bookworm\nRUN apt-get update && apt-get install -y cowsay\n"
PIP = b"FROM python:3.11\nRUN pip install six\n"


@pytest.fixture(scope="module")
def mirrored(engine: Engine, image_set: ImageSet) -> Iterator[Engine]:
    """An engine with a new mirror that has kept nothing yet."""
    mirror.remove_cache(engine)
    yield engine
    mirror.remove_cache(engine)


@pytest.fixture(scope="module")
def node(mirrored: Engine, image_set: ImageSet) -> Iterator[Node]:
    with sandbox(mirrored, image_set) as made:
        yield made


@contextlib.contextmanager
def sandbox(engine: Engine, image_set: ImageSet) -> Iterator[Node]:
    with Sandbox.create(engine, image_set=image_set.volume) as made:
        yield made.nodes[0]


def build(node: Node, dockerfile: bytes, tag: str) -> Completed:
    node.put({"Dockerfile": dockerfile}, f"/drydock/{tag}")
    return build_image(node, f"/drydock/{tag}", tag, seconds=300).done


def curl(node: Node, *arguments: str) -> tuple[str, float]:
    """What curl, in a node that has the mirror for its name server, says; and in which time."""
    began = time.monotonic()
    done = node.run(["curl", "-sS", "-m", "60", *arguments], timeout=90)
    return done.out, time.monotonic() - began


def status_of(node: Node, *arguments: str) -> str:
    argv = ["curl", "-s", "-m", "10", "-o", "/dev/null", "-w", "%{http_code}", *arguments]
    return node.run(argv, timeout=30).out.strip()


def test_what_the_first_sandbox_fetched_the_second_gets_without_a_request_outside(
    mirrored: Engine, image_set: ImageSet, node: Node
) -> None:
    for dockerfile, tag in ((APT, "apt"), (PIP, "pip")):
        done = build(node, dockerfile, tag)
        assert done.ok, done.out
    first = status.look(mirrored)
    assert first.from_outside > 5
    assert first.cache_bytes > 5_000_000
    with sandbox(mirrored, image_set) as second:
        for dockerfile, tag in ((APT, "apt"), (PIP, "pip")):
            done = build(second, dockerfile, tag)
            assert done.ok, done.out
        now = status.look(mirrored)
        assert now.sandboxes == 2
    assert now.from_outside == first.from_outside
    assert now.from_cache >= first.from_cache + 5


def test_pip_leaves_the_cache_in_an_image_that_it_leaves_elsewhere(node: Node) -> None:
    done = build(node, PIP, "pip")
    assert done.ok, done.out
    search = ["find", "/root/.cache/pip", "-type", "f", "-size", "+5k"]
    kept = node.run(["docker", "run", "--rm", "pip", *search], timeout=60)
    assert kept.ok, kept.out
    assert kept.out.strip()


def test_compose_builds_get_packages_as_well(node: Node) -> None:
    compose = b"services:\n  web:\n    build: .\n    command: pip download --no-deps six\n"
    node.put({"Dockerfile": PIP, "compose.yaml": compose}, "/drydock/project")
    up = ["docker", "compose", "--progress=plain", "up", "--build", "--exit-code-from=web"]
    done = node.run(up, cwd="/drydock/project", timeout=300)
    assert done.ok, done.out
    assert "Successfully downloaded six" in done.out


def test_a_container_and_a_command_in_it_get_packages_as_well(node: Node) -> None:
    assert come(node, "Debian packages")
    assert come(node, "Python packages")


def test_a_students_own_index_is_left_alone(node: Node) -> None:
    own = b"FROM python:3.11\nENV PIP_INDEX_URL=http://index.test/simple\nRUN env | grep PIP\n"
    done = build(node, own, "own")
    assert done.ok, done.out
    assert "PIP_INDEX_URL=http://index.test/simple" in done.out
    assert "PIP_TRUSTED_HOST" not in done.out


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://elsewhere.test/", "Could not resolve host"),
        ("https://elsewhere.test/", "Could not resolve host"),
        ("http://192.0.2.7/", "connect"),
        (f"https://{PYPI}/", "connect"),
    ],
)
def test_other_addresses_are_refused_at_once(node: Node, url: str, said: str) -> None:
    found, seconds = curl(node, url)
    assert said in found
    assert seconds < 5


@pytest.mark.parametrize(
    "arguments",
    [
        ["--proxy", f"http://{PYPI}:80", "http://elsewhere.test/"],
        ["--proxy", f"http://{PYPI}:80", "http://192.0.2.7/debian/pool/x.deb"],
        ["-H", "Host: elsewhere.test", f"http://{PYPI}/simple/six/"],
        ["-H", "Host: 192.0.2.7", f"http://{DEB}/debian/dists/bookworm/InRelease"],
        ["-X", "POST", "-d", "name=value", f"http://{PYPI}/simple/six/"],
        ["-X", "PUT", f"http://{DEB}/debian/pool/x.deb"],
        ["-X", "PURGE", f"http://{PYPI}/simple/six/"],
        [f"http://{PYPI}/pypi/six/json"],
        [f"http://{PYPI}/drydock-mirror"],
        [f"http://{DEB}/"],
        [f"http://{DEB}/debian/"],
        [f"http://{DEB}/server-status"],
        ["--path-as-is", f"http://{DEB}/debian/pool/../../etc/passwd"],
        ["--path-as-is", f"http://{DEB}/debian/pool/%2e%2e/%2e%2e/etc/passwd"],
        ["--path-as-is", f"http://{FILES}/../../cache/packages/x.py"],
        [f"http://{FILES}/packages/http://192.0.2.7/x.whl%0d%0aHost:%20elsewhere"],
        [f"http://{PYPI}/simple/@192.0.2.7/"],
    ],
    ids=lambda arguments: " ".join(arguments)[:60],
)
def test_tricks_are_refused_with_a_sentence(node: Node, arguments: list[str]) -> None:
    assert status_of(node, *arguments) == "403"
    assert config.REFUSAL in curl(node, *arguments)[0]


def test_it_is_no_tunnel(node: Node) -> None:
    for port in (80, 443):
        said, _ = curl(node, "--proxy", f"http://{PYPI}:80", f"https://elsewhere.test:{port}/")
        assert "CONNECT tunnel failed" in said


def test_what_somebody_asks_with_changes_nothing_for_the_next_one(node: Node) -> None:
    url = f"http://{PYPI}/simple/wheel/"
    tricks = ["X-Forwarded-Host: evil.test", "Accept: application/json", "Range: bytes=0-9"]
    curl(node, *(word for trick in tricks for word in ("-H", trick)), f"{url}?evil=1")
    page, _ = curl(node, url)
    assert "</html>" in page
    assert "evil" not in page
    assert f"https://{FILES}" not in page


def test_the_machine_itself_cannot_be_reached(mirrored: Engine, node: Node) -> None:
    if mirrored.origin != "embedded":
        pytest.skip("another engine's packet filter is not the kit's")
    gateway = node.address.rsplit(".", 1)[0] + ".1"
    network = gateway.rsplit(".", 1)[0] + ".0/24"
    routes = [route for route in pools._routes() if route["dst"] == network]
    (bridge,) = [route["dev"] for route in routes]
    assert bridge.startswith(pools.BRIDGE)
    said = subprocess.run(
        ["ip", "-json", "-6", "address", "show", "dev", bridge], capture_output=True, text=True
    )
    link_local = json.loads(said.stdout)[0]["addr_info"][0]["local"]
    # A node's own root can give itself an IPv6 address.
    node.run(
        ["sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6; sleep 3"], timeout=20
    )
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        port = server.getsockname()[1]
        for address in (gateway, f"[{link_local}%25eth0]"):
            answer, _ = curl(node, "-m", "4", f"http://{address}:{port}/")
            assert "Failed to connect" in answer or "timed out" in answer, address


def test_sandboxes_do_not_reach_each_other(
    mirrored: Engine, image_set: ImageSet, node: Node
) -> None:
    with sandbox(mirrored, image_set) as other:
        serve = ["docker", "run", "-d", "-p", "8000:8000", "python:3.11"]
        started = other.run([*serve, "python", "-m", "http.server", "8000"], timeout=60)
        assert started.ok, started.out
        deadline = time.monotonic() + 30
        while status_of(other, f"http://{other.address}:8000/") != "200":
            assert time.monotonic() < deadline
        # Neither directly nor with the mirror, which has a leg in both, for a gateway.
        assert status_of(node, f"http://{other.address}:8000/") == "000"
        leg = node.run(["sh", "-c", "awk '/nameserver/ {print $2}' /etc/resolv.conf"], timeout=20)
        assert leg.ok
        mirror_here = curl(node, "-o", "/dev/null", "-w", "%{remote_ip}", f"http://{PYPI}/")[0]
        route = ["ip", "route", "replace", "default", "via", mirror_here]
        assert node.run(route, timeout=20).ok
        assert status_of(node, f"http://{other.address}:8000/") == "000"
        assert status_of(node, "http://192.0.2.7/") == "000"
        assert node.run(["ip", "route", "del", "default"], timeout=20).ok


@contextlib.contextmanager
def offline(engine: Engine) -> Iterator[None]:
    """The mirror without its way out."""
    with contextlib.closing(engine.client()) as client:
        server = making.NAME
        network = making.NETWORK
        client.api.disconnect_container_from_network(server, network)
        try:
            yield
        finally:
            client.api.connect_container_to_network(server, network)


def test_offline_it_gives_what_it_has_and_says_whose_fault_the_rest_is(
    mirrored: Engine, image_set: ImageSet
) -> None:
    with sandbox(mirrored, image_set) as early:
        for dockerfile, tag in ((APT, "apt"), (PIP, "pip")):
            assert build(early, dockerfile, tag).ok
    with sandbox(mirrored, image_set) as node, offline(mirrored):
        for dockerfile, tag in ((APT, "apt"), (PIP, "pip")):
            done = build(node, dockerfile, tag)
            assert done.ok, done.out
        for before, now in ((b"cowsay", b"sl"), (b"six", b"toml")):
            dockerfile = (APT if before in APT else PIP).replace(before, now)
            done = build(node, dockerfile, "more")
            assert not done.ok
            with pytest.raises(
                EngineFault, match=r"does not have all the packages|cannot be reached from here"
            ):
                blame_the_network(node, done)


def test_a_package_that_nobody_has_is_not_the_mirrors_fault(node: Node) -> None:
    for dockerfile in (APT.replace(b"cowsay", b"cowsaay"), PIP.replace(b"six", b"sixxx-drydock")):
        done = build(node, dockerfile, "missing")
        assert not done.ok
        blame_the_network(node, done)


def test_a_mirror_that_died_is_started_again_with_what_it_had(
    mirrored: Engine, image_set: ImageSet
) -> None:
    with sandbox(mirrored, image_set) as node:
        assert build(node, PIP, "pip").ok
    with contextlib.closing(mirrored.client()) as client:
        client.api.kill(making.NAME)
    with sandbox(mirrored, image_set) as node:
        done = build(node, PIP, "pip")
        assert done.ok, done.out
    assert status.look(mirrored).from_outside == 0


def test_nothing_is_left_but_the_mirror_and_what_it_keeps(
    mirrored: Engine, image_set: ImageSet
) -> None:
    with sandbox(mirrored, image_set):
        pass
    assert ours(mirrored) == ["mirror", "mirror-cache", "mirror-network"]
    assert mirror.remove(mirrored)
    assert ours(mirrored) == ["mirror-cache"]
    assert not mirror.remove(mirrored), "there is nothing to remove any more"


def ours(engine: Engine) -> list[str]:
    """Roles of what the kit has in the engine, runs and image sets left out."""
    mine = {"label": "drydock.role"}
    with contextlib.closing(engine.client()) as client:
        found = [
            *client.api.containers(all=True, filters=mine),
            *client.api.networks(filters=mine),
            *(client.api.volumes(filters=mine)["Volumes"] or []),
        ]
    labels = [thing["Labels"] for thing in found if "drydock.run" not in thing["Labels"]]
    roles = [one["drydock.role"] for one in labels]
    return sorted(role for role in roles if not role.startswith("image-set"))


def test_engine_stop_takes_it_along_and_its_cache_stays(
    own_place: engine_paths.EnginePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    from grader.cli import main

    engine = find.ensure(find.EMBEDDED)
    mirror.ensure(engine)
    assert main(["engine", "stop"]) == 0
    engine = find.ensure(find.EMBEDDED)
    assert ours(engine) == ["mirror-cache"]


@pytest.mark.parametrize(
    ("debian", "apt", "pip"),
    [
        ("https://mirror.test/debian", {}, {}),
        (
            "http://mirror.test:8080/pub/deb.ian-x",
            {"Acquire::http::Proxy": "http://p.test:3142"},
            {},
        ),
        (None, {}, {"index-url": "https://u:s%22%24x@index.test:8443/a/simple"}),
        (
            None,
            {},
            {"index-url": "http://plain.test/simple", "extra-index-url": "https://x.test/s"},
        ),
    ],
)
def test_nginx_and_dnsmasq_take_what_odd_settings_make(
    engine: Engine, debian: str | None, apt: dict[str, str], pip: dict[str, str]
) -> None:
    plan = origins.plan(debian, debian, apt, pip, lambda _index: {"https://files.test:444"}, PUBLIC)
    files = {
        "drydock/nginx.conf": config.nginx(plan, making.IMAGE_BUNDLE).encode(),
        "drydock/dnsmasq.conf": config.dnsmasq(plan).encode(),
    }
    script = "mkdir -p /cache && nginx -t -c /etc/drydock/nginx.conf && "
    script += "dnsmasq --test -C /etc/drydock/dnsmasq.conf"
    with contextlib.closing(engine.client()) as client:
        made = client.api.create_container(
            node_image.ensure_mirror(engine),
            entrypoint=["sh", "-c", script],
            host_config=client.api.create_host_config(network_mode="none"),
        )
        try:
            with archive.pack(files) as tar:
                client.api.put_archive(made["Id"], "/etc", tar)
            client.api.start(made["Id"])
            code = client.api.wait(made["Id"])["StatusCode"]
            assert code == 0, client.api.logs(made["Id"]).decode()
        finally:
            client.api.remove_container(made["Id"], force=True)


def test_switched_off_sandboxes_have_an_ordinary_network(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DRYDOCK_MIRROR", "off")
    with Sandbox.create(engine) as made:
        routes = made.nodes[0].run(["ip", "route"], timeout=20)
    assert "default via" in routes.out
    assert "ordinary network" in capfd.readouterr().err
