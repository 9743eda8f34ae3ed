"""What an engine does not let go of: a fault that no engine can be asked for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from docker.errors import APIError

from grader.engine import reaper
from grader.engine.client import Engine
from grader.engine.sandbox import Sandbox

ENGINE = Engine("unix:///nowhere", "embedded", "userns", "26")
RUN = "0123456789"


class Stubborn:
    """The API of an engine in which the network of a run that ended stays in use."""

    def __init__(self) -> None:
        self.volumes_left = ["drydock-data"]
        self.asked = 0
        self.api = self

    def close(self) -> None: ...

    def containers(self, **_: Any) -> list[dict[str, Any]]:
        return []

    def networks(self, **_: Any) -> list[dict[str, Any]]:
        return [{"Id": "n", "Labels": {"drydock.run": RUN}}]

    def volumes(self, **_: Any) -> dict[str, Any]:
        return {"Volumes": [{"Name": name, "Labels": {}} for name in self.volumes_left]}

    def remove_volume(self, name: str, **_: Any) -> None:
        self.volumes_left.remove(name)

    def inspect_network(self, _: str) -> dict[str, Any]:
        return {"Containers": {"ep-1": {"Name": "gone"}}}

    def disconnect_container_from_network(self, *_: Any, **__: Any) -> None:
        raise self.refusal("No such container: gone")

    def remove_network(self, _: str) -> None:
        self.asked += 1
        raise self.refusal("network has active endpoints")

    def refusal(self, why: str) -> APIError:
        response = requests.Response()
        response.status_code = 403
        return APIError("Forbidden", response=response, explanation=why)


@pytest.fixture
def stubborn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stubborn:
    engine = Stubborn()
    monkeypatch.setenv("DRYDOCK_HOME", str(tmp_path))
    monkeypatch.setattr(Engine, "client", lambda *_, **__: engine)
    monkeypatch.setattr(reaper, "OTHERS_SECONDS", 0)
    return engine


def test_a_network_that_stays_is_said_and_costs_nobody_a_sandbox(
    stubborn: Stubborn, capfd: pytest.CaptureFixture[str]
) -> None:
    assert reaper.reap(ENGINE) == []
    said = " ".join(capfd.readouterr().err.split())
    assert f"an earlier run ({RUN}): network has active endpoints" in said
    assert stubborn.volumes_left == [], "the rest is removed"
    assert reaper.reap(ENGINE) == []
    assert stubborn.asked == 2, "it is tried again"
    assert capfd.readouterr().err == "", "and not said again"


def test_a_sandbox_that_cannot_be_removed_is_left_to_a_later_run(
    stubborn: Stubborn, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reaper, "clean", lambda client, run: stubborn.remove_network("n"))
    run = reaper.Run.begin(ENGINE)
    Sandbox(run.id, ENGINE, [], "", SimpleNamespace(), run).remove()  # type: ignore[arg-type]
    assert "could not be removed completely" in " ".join(capfd.readouterr().err.split())
    assert not run.lock.is_locked
