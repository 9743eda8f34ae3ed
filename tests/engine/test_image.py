"""Images are built with limits, looked into layer by layer, and run as `docker run` does it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from grader.modules.http import get
from grader.modules.image import Build, Image, Running, WillNotStart, build_image
from grader.nodes.node import Node
from grader.waiting import wait_until
from tests.engine import looked_at
from tests.engine.looked_at import BARE, LISTENER

pytestmark = pytest.mark.engine

HEAD = f"FROM {BARE}\n"
SERVER = f"""{HEAD}COPY listener.pl /
EXPOSE 80
CMD ["perl", "/listener.pl", "0.0.0.0", "80"]
"""


@pytest.fixture(scope="module")
def node(engine: Any, image_set: Any) -> Iterator[Node]:
    with looked_at.node(engine, image_set) as node:
        yield node


def build(node: Node, dockerfile: str, seconds: float = 60, keep: int = 64_000) -> Build:
    node.put({"Dockerfile": dockerfile.encode(), "listener.pl": LISTENER.encode()}, "/drydock/ctx")
    return build_image(node, "/drydock/ctx", "test/image", seconds=seconds, keep=keep)


def built(node: Node, dockerfile: str) -> Image:
    done = build(node, dockerfile)
    assert done.image is not None, done.done.out
    return done.image


def test_a_build_that_fails_says_why(node: Node) -> None:
    done = build(node, HEAD + "RUN echo the cause >&2; exit 7\n")
    assert not done.ok
    assert done.done.rc != 0
    assert "the cause" in done.done.out
    assert "exit code: 7" in done.done.out


def test_programs_that_end_at_once_are_heard_also_many_at_a_time_and_leave_nothing(
    node: Node,
) -> None:
    image = built(node, HEAD + "RUN true\n")
    words = [f"word-{number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda word: image.run(["echo", word], seconds=60), words))
    assert [(done.rc, done.out.strip()) for done in said] == [(0, word) for word in words]
    failed = image.run(["/no/such/program"], seconds=60)
    assert failed.rc == 127
    assert "no such file" in failed.out
    assert image.run(["sleep", "60"], seconds=1).timed_out
    assert image.run(["true"], seconds=60).out == ""
    kept = {"label": "drydock.role=submission", "ancestor": image.id}
    assert node.docker.api.containers(all=True, filters=kept) == []


def test_a_build_without_end_is_ended(node: Node) -> None:
    done = build(node, HEAD + "RUN while true; do sleep 0.1; done # 4711\n", seconds=5)
    assert done.done.timed_out
    assert done.image is None

    def listed() -> str:
        return node.run(["ps", "-e", "-o", "args="], timeout=20).out

    assert wait_until(lambda: "sleep 0.1" not in listed(), within=30)


def test_a_build_that_prints_gigabytes_is_kept_short(node: Node) -> None:
    done = build(node, HEAD + "RUN yes | head -c 1000000000\n", keep=3000)
    assert done.ok
    assert len(done.done.out) < 3300


def test_a_broken_dockerfile_is_named(node: Node) -> None:
    done = build(node, HEAD + "INSTALL nginx\n")
    assert "unknown instruction: INSTALL" in done.done.out


def test_what_a_later_layer_removes_is_still_in_the_image(node: Node) -> None:
    image = built(node, HEAD + "RUN mkdir /x && echo 1 > /x/hidden && touch /x/empty\n"
                               "RUN rm /x/hidden && echo 2 > '/x/a b'\n")  # fmt: skip
    assert image.left_in_layers(BARE, "x") == ["x/a b", "x/hidden"]
    assert image.left_in_layers(BARE, "y") == []


def test_the_bases_own_files_do_not_count_unless_there_is_no_base(node: Node) -> None:
    image = built(node, HEAD + "RUN echo 1 > /etc/mine\n")
    assert "etc/mine" in image.left_in_layers(BARE, "etc")
    assert "etc/debian_version" not in image.left_in_layers(BARE, "etc")
    assert "etc/debian_version" in image.left_in_layers(None, "etc")


def test_what_an_image_says_of_itself(node: Node) -> None:
    image = built(node, SERVER + 'HEALTHCHECK --retries=2 CMD ["true"]\nENTRYPOINT ["nice"]\n'
                                 'CMD ["a"]\n')  # fmt: skip
    assert image.command == ["nice", "a"]
    assert image.exposed == ["80/tcp"]
    assert image.healthcheck["Test"] == ["CMD", "true"]
    assert built(node, SERVER + "HEALTHCHECK NONE\n").healthcheck == {}
    assert built(node, SERVER).healthcheck == {}


def test_a_container_is_published_on_a_free_port_and_seen_inside(node: Node) -> None:
    running = Running.start(node, built(node, SERVER), port=80)
    try:
        assert wait_until(lambda: get(node.address, running.published), within=20)
        assert [s.port for s in running.listening()] == [80]
        assert [p.program for p in running.processes()] == ["perl"]
    finally:
        running.remove()


def test_output_and_error_are_told_apart(node: Node) -> None:
    running = Running.start(node, built(node, HEAD + "CMD echo out; echo err >&2; sleep 99"), 80)
    try:
        assert wait_until(lambda: running.log().count("\n") == 2, within=20)
        assert running.log(err=False) == "out\n"
        assert running.log(out=False) == "err\n"
    finally:
        running.remove()


def test_health_is_asked_often_whatever_the_image_says(node: Node) -> None:
    sick = 'HEALTHCHECK --interval=1h CMD echo "not well"; exit 1\n'
    running = Running.start(node, built(node, SERVER + sick), 80, health_interval=0.2)
    try:
        assert wait_until(lambda: running.failing_probes >= 3, within=30)
        assert running.last_probe["Output"] == "not well\n"
        assert wait_until(lambda: running.now().health == "unhealthy", within=10)
    finally:
        running.remove()


def test_stopping_in_order_and_by_kill(node: Node) -> None:
    listens = Running.start(node, built(node, HEAD + 'STOPSIGNAL USR1\n'
        'CMD ["bash", "-c", "trap \'exit 5\' USR1; while :; do sleep 0.1; done"]'), 80)  # fmt: skip
    deaf = Running.start(node, built(node, HEAD + 'CMD ["sleep", "99"]'), 80)
    try:
        assert wait_until(lambda: len(listens.processes()) == 2, within=20)
        stopped = listens.stop(grace=10)
        assert (stopped.exit_code, stopped.killed) == (5, False)
        stopped = deaf.stop(grace=1)
        assert stopped.killed
        assert stopped.seconds >= 1
        assert not deaf.now().running
    finally:
        listens.remove()
        deaf.remove()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('CMD ["/no/such/program"]', "no such file or directory"),
        ('CMD ["nginx"]', "executable file not found"),
        ('ENTRYPOINT ["/listener.pl"]', "permission denied"),
    ],
)
def test_a_program_that_cannot_be_started_is_named(node: Node, line: str, said: str) -> None:
    image = built(node, HEAD + "COPY --chmod=644 listener.pl /\n" + line)
    with pytest.raises(WillNotStart) as caught:
        Running.start(node, image, port=80)
    assert said in caught.value.reason
    assert "runc" not in caught.value.reason
