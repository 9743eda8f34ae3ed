"""What runs is what was vetted: compose files and stacks that Docker reads otherwise than the text.

Each is laid out as a submission, and either refused before anything runs or started harmless.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grader.errors import Refused
from grader.modules.submitted import PlacedCompose, place_compose, place_stack
from grader.nodes.node import Node
from grader.vetting import compose, stack
from grader.vetting.resolved import Disagreement
from grader.waiting import wait_until
from tests.engine import looked_at
from tests.hostile import differential

pytestmark = pytest.mark.engine

IMAGES = frozenset({"alpine:3", "redis:7"})
REST = "image: alpine:3\n    command: sleep 1000\n    init: true\n"

OTHERWISE = {
    "reset-of-a-merge": "x-o: &o {cap_add: [SYS_ADMIN]}\nservices:\n  web:\n    <<: *o\n"
    f"    cap_add: !reset []\n    {REST}",
    "reset-of-a-namespace": "x-o: &o {pid: host}\nservices:\n  web:\n    <<: *o\n"
    f'    pid: !reset ""\n    {REST}',
    "reset-of-mounts": 'x-o: &o {volumes: ["/:/h"]}\nservices:\n  web:\n    <<: *o\n'
    f"    volumes: !reset null\n    {REST}",
}
"""The text is harmless, and what Compose 2.26 makes of it is not."""


@pytest.fixture(scope="module")
def node(engine: Any, image_set: Any) -> Iterator[Node]:
    with looked_at.node(engine, image_set) as node:
        yield node


def placed(node: Node, folder: Path, text: str, **files: str) -> PlacedCompose:
    for name, content in {"compose.yaml": text, **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    return place_compose(node, folder, folder.name, compose.read(folder, "work"), IMAGES)


@pytest.mark.parametrize("text", OTHERWISE.values(), ids=OTHERWISE)
def test_what_compose_reads_otherwise_is_refused_and_told(
    node: Node, tmp_path: Path, text: str
) -> None:
    with pytest.raises(Disagreement) as caught:
        placed(node, tmp_path / "work", text)
    assert caught.value.where is not None
    assert "work/compose.yaml" in caught.value.where
    assert '"services"' in caught.value.document


def test_of_several_merged_mappings_both_read_the_first(node: Node, tmp_path: Path) -> None:
    text = (
        "x-a: &a {image: 'redis:7'}\nx-b: &b {image: 'evil:1', cap_add: [SYS_ADMIN]}\n"
        "services:\n  web: {<<: [*a, {image: 'evil:1'}], command: sleep 9}\n"
    )
    assert placed(node, tmp_path / "work", text).file.services["web"].image == "redis:7"


def test_spaces_that_only_compose_takes_off_hide_nothing(node: Node, tmp_path: Path) -> None:
    for space in "\u00a0\u0085\u2028\u2029\v\f\u2003\u1680":
        with pytest.raises(Refused):
            placed(
                node,
                tmp_path / "work",
                f"services:\n  web:\n    volumes: ['$V:/h']\n    {REST}",
                **{".env": f"V={space}/run{space}\n"},
            )


@pytest.mark.parametrize("away", ["rm -rf /w/data", "mv /w/data /w/old"])
def test_a_link_that_one_service_makes_leads_no_other_out(
    node: Node, tmp_path: Path, away: str
) -> None:
    """A service that mounts the whole folder replaces one by a link to the node's sockets."""
    text = (
        "services:\n"
        "  thief:\n    image: alpine:3\n    volumes: ['.:/w']\n    init: true\n"
        f"    command: sh -c '{away} && ln -s /run /w/data && sleep 1000'\n"
        "  heir:\n    image: alpine:3\n    volumes: ['./data:/d']\n    init: true\n"
        "    command: sh -c 'ls -a /d; sleep 1000'\n"
    )
    name = f"thief-{away[:2]}"
    app = placed(node, tmp_path / name, text, **{"data/mine.txt": "mine\n"})
    assert app.project.up("thief").ok
    linked = ["test", "-L", f"/drydock/{name}/data"]
    assert wait_until(lambda: node.run(linked, timeout=20).ok, within=30)
    # A folder that is gone cannot be mounted; one that was moved is the same one still.
    done = app.project.up("heir")
    assert done.ok == away.startswith("mv"), done.out
    if done.ok:
        assert wait_until(lambda: "mine.txt" in app.project.logs("heir"), within=30)
    assert "docker.sock" not in app.project.logs("heir")
    app.project.down("--timeout", "1")


def test_an_env_file_that_a_container_writes_counts_at_the_next_up(
    node: Node, tmp_path: Path
) -> None:
    text = (
        "services:\n  web:\n    image: alpine:3\n    init: true\n    env_file: own.env\n"
        "    volumes: ['.:/w']\n    command: sh -c 'echo A=2 > /w/own.env; sleep 1000'\n"
    )
    app = placed(node, tmp_path / "own", text, **{"own.env": "A=1\n"})

    def container() -> str:
        (found,) = app.project.containers("web")
        return found.id

    assert app.project.up().ok
    first = container()
    written = ["grep", "-q", "A=2", "/drydock/own/own.env"]
    assert wait_until(lambda: node.run(written, timeout=20).ok, within=30)
    assert app.read_again() is None
    assert app.project.up().ok
    second = container()
    assert second != first, "it was recreated with A=2"
    assert app.read_again() is None
    assert app.project.up().ok
    assert container() == second
    app.project.down("--timeout", "1")


def test_back_slashes_lead_where_they_do_on_windows(node: Node, tmp_path: Path) -> None:
    text = (
        "services:\n  web:\n    image: alpine:3\n    volumes: ['.\\site:/w']\n    command: ls /w\n"
    )
    app = placed(node, tmp_path / "slash", text, **{"site/page.txt": "here\n"})
    assert app.project.up().ok
    assert wait_until(lambda: "page.txt" in app.project.logs("web"), within=30)
    app.project.down()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("services:\n  a: {image: 'alpine:3', deploy: {replicas: 0o377}}\n", "255|0o377"),
        ("configs: {c: {file: //etc/passwd}}\nservices:\n  a: {image: 'alpine:3'}\n", "leads out"),
        ("services:\n  a: {image: 'alpine:3', volumes: ['//:/n']}\n", "mounted"),
        ("x-a: &a {image: 'alpine:3', volumes: ['/:/n']}\nservices:\n  a: {<<: [*a]}\n", "mounted"),
    ],
)
def test_a_stack_that_reaches_out_is_refused(
    node: Node, tmp_path: Path, text: str, reason: str
) -> None:
    (tmp_path / "stack.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(Refused, match=reason):
        place_stack(
            node, tmp_path, "rollout", stack.read(tmp_path, "stack.yaml", "rollout"), IMAGES
        )


def test_a_stack_is_deployed_as_docker_resolved_it(node: Node, tmp_path: Path) -> None:
    text = (
        "x-a: &a {image: 'redis:7'}\nx-b: &b {image: 'alpine:3'}\n"
        "services:\n  a:\n    <<: [*a, *b]\n    command: sh -c 'echo $$HOME'\n"
        "    configs: [c]\nconfigs: {c: {file: ./a.conf}}\n"
    )
    (tmp_path / "stack.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "a.conf").write_text("x\n", encoding="utf-8")
    found = place_stack(
        node, tmp_path, "stacked", stack.read(tmp_path, "stack.yaml", "stacked"), IMAGES
    )
    assert isinstance(found, tuple)
    path, file = found
    assert file.services["a"].image == "redis:7"
    written = node.run(["cat", path], timeout=20).out
    assert "echo $$HOME" in written
    assert '"file": "/drydock/stacked/a.conf"' in written


def test_no_generated_document_is_read_as_harmless_that_compose_reads_otherwise(
    node: Node,
) -> None:
    """A sample; `nox -s hostile` takes thousands."""
    report = differential.run(node, 150)
    assert not report.faults
    assert report.outcomes["taken"] > 10, report.in_words
