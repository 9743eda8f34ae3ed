"""Root of a node does with its engine's socket folder what it likes; the host is unharmed."""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.engine import engine_paths, packages
from grader.engine.bounded import Unanswered
from grader.engine.client import Engine
from grader.engine.node import LOG_KEPT
from grader.engine.node_socket import volume
from grader.engine.sandbox import Sandbox, SandboxNode
from grader.errors import EngineFault
from tests.engine.test_sandbox import objects, until

pytestmark = pytest.mark.engine

FOLDER = "/run/drydock"
SOCKET = f"{FOLDER}/engine.sock"
LISTEN = (
    "use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Local => $ARGV[0], Type => $ARGV[1],"
    " $ARGV[1] == 1 ? (Listen => 9) : ()) or die $!; open my $f, '>', '/tmp/listens'; close $f;"
    " while (1) { my $c = $s->accept; push @all, $c; sleep 1 unless $c }"
)


@pytest.fixture(scope="module")
def sandbox(engine: Engine) -> Iterator[Sandbox]:
    if not (engine.local and packages.is_root()):
        pytest.skip("this kit reaches nodes through the host's engine")
    with Sandbox.create(engine, submission="socket") as made:
        yield made


@pytest.fixture(scope="module")
def node(sandbox: Sandbox) -> SandboxNode:
    return sandbox.nodes[0]


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[socket.socket]:
    """A socket of the host that accepts at once, if someone connects."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "canary"))
        listener.listen()
        listener.settimeout(0)
        yield listener


def untouched(canary: socket.socket) -> bool:
    with contextlib.suppress(BlockingIOError):
        canary.accept()
        return False
    return True


@contextlib.contextmanager
def instead(node: SandboxNode, *script: str) -> Iterator[None]:
    """The engine's socket is taken away and `script` run (by the node's root) in its place."""
    begin = f"rm -f /tmp/listens; mv {SOCKET} {FOLDER}/saved"
    done = node.run(["sh", "-ec", "; ".join([begin, *script])], timeout=60)
    assert done.ok, done.out
    try:
        yield
    finally:
        back = f"pkill -KILL perl; rm -rf {SOCKET}; mv {FOLDER}/saved {SOCKET}"
        assert node.run(["sh", "-c", back], timeout=60).ok
        node.dial().close()


def listener(kind: int, before: str = "") -> str:
    argv = f"{before} perl -e {shlex.quote(LISTEN)} {SOCKET} {kind}"
    return f"setsid {argv} < /dev/null > /dev/null 2>&1 & until [ -e /tmp/listens ]; do :; done"


def test_it_is_full_after_a_megabyte_and_cannot_be_made_larger(node: SandboxNode) -> None:
    # Without user namespaces root of the node is root: then its memory limit alone holds.
    larger = "false" if node.engine.isolation == "container" else "mount"
    fill = (
        f"cd {FOLDER}; head -c 20M /dev/zero > x; i=0; "
        "while [ $i -lt 500 ] && : > f$i; do i=$((i+1)); done; "
        f"{larger} -o remount,size=100m {FOLDER} && echo larger; mknod d b 7 0 && echo device; "
        "du -sk --apparent-size . | cut -f1; ls | wc -l; rm -f x f*"
    )
    said = node.run(["bash", "-c", fill], timeout=60).out.splitlines()
    assert not {"larger", "device"} & set(said)
    kilobytes, files = (int(word) for word in said if word.isdigit())
    assert kilobytes <= 1024
    assert files < 20
    assert node.docker.ping()


@pytest.mark.parametrize("what", ["link", "pipe", "folder", "file", "datagrams", "listener"])
def test_what_is_put_in_its_place_is_not_opened(
    node: SandboxNode, canary: socket.socket, what: str
) -> None:
    put = {
        "link": f"ln -s {shlex.quote(canary.getsockname())} {SOCKET}",
        "pipe": f"mkfifo {SOCKET}",
        "folder": f"mkdir {SOCKET}; ln -s {shlex.quote(canary.getsockname())} {SOCKET}/x",
        "file": f": > {SOCKET}",
        "datagrams": listener(socket.SOCK_DGRAM),
        "listener": listener(socket.SOCK_STREAM),
    }[what]
    with instead(node, put):
        with pytest.raises(EngineFault, match="replaced the socket"):
            node.dial()
        with pytest.raises(EngineFault, match="replaced the socket"):
            node.connect(timeout=5)
        with pytest.raises(EngineFault, match="replaced the socket"):
            node.wait_ready(5)
    assert untouched(canary)
    assert node.docker.ping()


def test_without_it_nothing_answers(node: SandboxNode) -> None:
    with instead(node), pytest.raises(Unanswered, match="does not answer"):
        node.connect(timeout=5)


def test_who_has_not_seen_the_engine_knows_a_containers_process(node: SandboxNode) -> None:
    assert node.socket is not None
    fresh = dataclasses.replace(node.socket, engine=None)
    fresh.connect().close()
    assert fresh.engine == node.socket.engine
    other = dataclasses.replace(node.socket, engine=None)
    with (
        instead(node, listener(socket.SOCK_STREAM, "unshare --pid --fork")),
        pytest.raises(EngineFault, match="replaced the socket"),
    ):
        other.connect()


def test_it_is_reached_by_many_at_once(node: SandboxNode) -> None:
    failed: list[BaseException] = []

    def ask() -> None:
        try:
            with contextlib.closing(node.connect()) as client:
                assert client.info()["Name"] == node.name
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_of_a_log_that_its_root_fills_the_end_is_shown(node: SandboxNode) -> None:
    fill = "print qq(z) x 30_000_000, qq(\\nthe end\\n)"
    assert node.run(["sh", "-c", f"perl -e '{fill}' > /proc/1/fd/1"], timeout=60).ok
    # The host's engine takes it down while it comes.
    until(lambda: node.log().endswith("the end"), "the end has arrived")
    assert len(node.log()) <= LOG_KEPT


def test_it_goes_with_the_sandbox_whatever_is_in_it(
    sandbox: Sandbox, engine: Engine, canary: socket.socket
) -> None:
    (node,) = sandbox.nodes
    spoil = f"rm {SOCKET}; ln -s {shlex.quote(canary.getsockname())} {SOCKET}; chmod 0 {FOLDER}"
    assert node.run(["sh", "-ec", spoil], timeout=60).ok
    assert volume(sandbox.id, node.name) in objects(engine, sandbox.id)["volumes"]
    sandbox.remove()
    left = objects(engine, sandbox.id)
    assert not left["containers"] + left["volumes"]
    assert not (engine_paths.current().nodes / sandbox.id).exists()
    assert untouched(canary)
