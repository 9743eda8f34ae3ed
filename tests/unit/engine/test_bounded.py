"""However much, slowly or deeply an engine answers: its client's memory and time have an end."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from grader.paths import KIT
from tests.unit import hostile_engine

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

MOST = 100_000
"""Kilobytes by which the process may grow over all tricks together; one alone sends 400 MB."""

CHILD = r"""
import json, sys, types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from grader.engine import bounded, node_socket
from grader.nodes import commands
from grader.modules import container, tree
from tests.unit.hostile_engine import told

path, tricks = sys.argv[1], sys.argv[2:]
tree.MAX_ENTRIES = 5000

def patience(seconds):
    global docker, node
    tree.TREE_SECONDS = container.EVENTS_SECONDS = seconds
    commands.LOG_SECONDS = bounded.EXEC_SECONDS = seconds
    docker = bounded.client(lambda: node_socket.by_path(path, 20), seconds)
    node = types.SimpleNamespace(docker=docker)

def run(trick):
    kind = trick.partition("_")[0]
    if kind == "tree":
        return len(tree.entries(node, trick, "/tree"))
    if kind == "log":
        return len(commands.log(docker, trick, lines=30, keep=1000))
    if kind == "events":
        return len(container.events(types.SimpleNamespace(docker=Renamed(trick)), 0, 1))
    if kind == "frame":
        made = docker.api.exec_create(trick, ["x"])
        return len(docker.api.exec_start(made["Id"]))
    found = docker.api.inspect_container(trick)
    return [found, len(docker.api.cookies)]

class Renamed:
    def __init__(self, trick):
        self.trick, self.api = trick, self
    def events(self, **options):
        return docker.api.events(**{**options, "filters": {"type": self.trick}})

def grown():
    # Of this process alone: getrusage also counts what it was before exec.
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0])

def play(trick):
    try:
        found = {"found": run(trick)}
    except Exception as error:
        found = told(error)
    now = grown()
    print(json.dumps({"trick": trick, "grown": now - first, **found}) + "\n", end="", flush=True)

patience(1.5)
first = grown()
# Those that only take time together, those that take memory one by one.
slow = [trick for trick in tricks if "drip" in trick or trick in ("promise", "silent")]
with ThreadPoolExecutor(len(slow)) as pool:
    list(pool.map(play, slow))
patience(100)
for trick in tricks:
    if trick not in slow:
        play(trick)
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What each trick came to, all in one process."""
    place = tmp_path_factory.mktemp("e") / "s"
    with hostile_engine.serving(place) as path:
        done = subprocess.run(
            [sys.executable, "-c", CHILD, path, *hostile_engine.TRICKS],
            capture_output=True,
            text=True,
            cwd=KIT,
            timeout=300,
        )
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    return {each["trick"]: each for each in told}


def test_no_trick_takes_much_memory(answers: dict[str, dict[str, Any]]) -> None:
    assert set(answers) == set(hostile_engine.TRICKS)
    steps = [(each["grown"], name) for name, each in answers.items()]
    assert max(steps)[0] < MOST, steps


@pytest.mark.parametrize(
    ("trick", "words"),
    [
        ("huge", "longer than the grader reads"),
        ("huge_error", "longer than the grader reads"),
        ("promise", "does not answer in time"),
        ("chunks", "longer than the grader reads"),
        ("one_chunk", "longer than the grader reads"),
        ("until_closed", "longer than the grader reads"),
        ("continue", "longer than the grader reads"),
        ("drip", "does not answer in time"),
        ("drip_header", "does not answer in time"),
        ("silent", "does not answer in time"),
        ("deep", "nested too deeply"),
        ("values", "more than 500000 values"),
        ("gzip", "compressed"),
        ("redirect", "elsewhere"),
        ("frame", "longer than the grader reads"),
        ("frame_drip", "does not finish its answer"),
        ("log_drip", "does not finish its answer in time"),
        ("tree_stat", "description"),
        ("tree_name", "unreasonable size"),
        ("tree_pax", "unreasonable size"),
        ("tree_chunk_size", "broken answer"),
        ("tree_drip", "does not finish its answer in time"),
        ("events_line", "longer than the grader reads"),
        ("events_many", "more than 20000 events"),
        ("events_deep", "nested too deeply"),
        ("events_drip", "does not finish its answer in time"),
    ],
)
def test_it_is_a_fault_in_words(answers: dict[str, dict[str, Any]], trick: str, words: str) -> None:
    assert "EngineFault" in answers[trick].get("kind", []), answers[trick]
    assert words in answers[trick]["text"]


@pytest.mark.parametrize(
    "trick", ["headers", "header_line", "status_line", "chunk_size", "deep_error"]
)
def test_what_is_no_answer_is_an_error(answers: dict[str, dict[str, Any]], trick: str) -> None:
    kinds = set(answers[trick].get("kind", []))
    assert kinds & {"EngineFault", "RequestException", "DockerException"}, answers[trick]
    assert "RecursionError" not in kinds


@pytest.mark.parametrize("trick", ["log_frame", "log_one_chunk"])
def test_of_an_endless_log_the_end_is_kept(answers: dict[str, dict[str, Any]], trick: str) -> None:
    assert answers[trick]["found"] == 1000


def test_of_an_endless_folder_a_part_is_looked_at(answers: dict[str, dict[str, Any]]) -> None:
    assert answers["tree_many"]["found"] == 1000  # the same names again and again
    for trick in ("tree_file", "tree_one_chunk"):
        assert answers[trick]["found"] == 0, "a file that is cut is none"


def test_neither_charset_nor_cookies_are_the_engines_to_choose(
    answers: dict[str, dict[str, Any]],
) -> None:
    assert answers["charset"]["found"] == [{"Name": "café"}, 0]
    assert answers["cookies"]["found"] == [{}, 0]
