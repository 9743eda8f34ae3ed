"""`swarm watch` beside an update that someone types: seen, drawn, and ended in both ways."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from grader.engine.client import Engine
from grader.modules.rollout import Trace
from tests.engine import kit
from tests.engine.test_swarm_command import NAMES, home_at, on, until

pytestmark = pytest.mark.engine


class Seen(NamedTuple):
    said: str
    code: int
    page: str
    trace: Trace


@pytest.fixture(scope="module")
def web(engine: Engine, image_set: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A swarm with the service web, a task and a port of its own on each node."""
    with home_at(tmp_path_factory.mktemp("swarm")):
        done = kit.run("swarm", "up", "--join", "--engine", engine.url)
        assert done.returncode == 0, done.stderr
        on(
            *("manager1", "docker", "service", "create", "--detach", "--no-resolve-image"),
            *("--name", "web", "--mode", "global", "--endpoint-mode", "dnsrr"),
            *("--update-parallelism", "2", "--update-delay", "1s", "--update-monitor", "1s"),
            *("--stop-grace-period", "1s", "--publish", "mode=host,published=8080,target=80"),
            "drydock/demo:1.0",
        )
        ps = ["docker", "service", "ps", "web", "--format", "{{.CurrentState}}"]
        until(lambda: on("manager1", *ps).count("Running") == 3, "web runs on all nodes")
        yield


@pytest.fixture(scope="module")
def both(web: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    """One update as two saw it: one that ends by itself, and one that Ctrl-C ends."""
    folder = tmp_path_factory.mktemp("pages")
    words = ["swarm", "watch", "web", "--title", "1.0 to 2.0", "--out"]
    alone = kit.Running(*words, folder / "alone.html", "--until-updated", "--seconds", "60")
    interrupted = kit.Running(*words, folder / "interrupted.html")
    for watch in (alone, interrupted):
        watch.until("3 run")
    change = ["--detach", "--no-resolve-image", "--image", "drydock/demo:2.0", "web"]
    on("manager1", "docker", "service", "update", *change)
    interrupted.until("completed")
    codes = {"interrupted": interrupted.interrupt()}
    out, _ = alone.process.communicate(timeout=60)
    alone.said += out
    codes["alone"] = alone.process.returncode
    return {
        name: Seen(
            watch.said,
            codes[name],
            (folder / f"{name}.html").read_text(encoding="utf-8"),
            Trace.from_json(json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))),
        )
        for name, watch in (("alone", alone), ("interrupted", interrupted))
    }


@pytest.mark.parametrize("name", ["alone", "interrupted"])
def test_an_update_is_seen_and_drawn(both: dict[str, Seen], name: str) -> None:
    seen = both[name]
    assert seen.code == 0, seen.said
    assert "Traceback" not in seen.said
    assert "updating" in seen.said
    assert f"{name}.html" in seen.said.splitlines()[-1]
    trace = seen.trace
    assert {task.version for task in trace.tasks} == {"1.0", "2.0"}
    assert [status.state for status in trace.statuses][-2:] == ["updating", "completed"]
    assert "1.0" in seen.page
    assert "2.0 on worker1" in seen.page
    assert "The service is updated from 1.0 to 2.0 (parallelism 2, delay 1 s" in seen.page


def test_what_the_service_asked_for_was_kept(both: dict[str, Seen]) -> None:
    proven = {proof.name: proof.ok for proof in both["alone"].trace.proofs}
    assert (proven["parallelism"], proven["order"]) == (True, True)
    assert proven["delay"] is not False


def test_requests_go_to_each_node_and_those_that_are_lost_are_told(both: dict[str, Seen]) -> None:
    trace = both["alone"].trace
    assert [requests.node for requests in trace.requests] == NAMES
    for requests in trace.requests:
        versions = [one.version for one in requests.sent if one.ok]
        assert set(versions) == {"1.0", "2.0"}, requests.node
        # No one else answers at a port in host mode.
        assert versions == sorted(versions), requests.node
    failed = sum(not one.ok for requests in trace.requests for one in requests.sent)
    (proof,) = [proof for proof in trace.proofs if proof.name == "requests"]
    assert failed > 0
    assert (proof.ok, proof.found.startswith(f"{failed} of ")) == (False, True)


def test_who_waits_in_vain_is_told_and_has_a_page(web: None, tmp_path: Path) -> None:
    words = ["--until-updated", "--seconds", "2", "--port", "0"]
    done = kit.run("swarm", "watch", "web", *words, "--out", tmp_path)
    assert (done.returncode, "No update" in done.stderr) == (1, True)
    (page,) = tmp_path.glob("rollout-web-*.html")
    assert page.with_suffix(".json").is_file()


def test_what_cannot_be_watched_is_said(web: None, tmp_path: Path) -> None:
    for words, said in (
        (["wob"], "There are: web."),
        (["web", "--out", tmp_path / "trace.json"], "trace.html"),
    ):
        done = kit.run("swarm", "watch", *words)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
