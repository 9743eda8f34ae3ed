"""The embedded engine: started once, found again, replaced when it is half dead, stopped."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from docker.context import ContextAPI

from grader import paths
from grader.engine import (
    client,
    embedded,
    engine_paths,
    engine_state,
    find,
    firewall,
    orphans,
    packages,
)
from grader.engine.engine_paths import EnginePaths
from grader.errors import EngineFault, NoEngine
from tests.engine import tiny

pytestmark = pytest.mark.engine


@pytest.fixture
def own(own_place: EnginePaths) -> client.Engine:
    """The module's own engine, running."""
    return find.ensure(find.EMBEDDED)


def _pid(place: EnginePaths) -> int:
    state = engine_state.read_state(place)
    assert state is not None
    return state.pid


def _kit(*argv: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "grader", *argv],
        cwd=paths.KIT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _daemons(place: EnginePaths) -> list[int]:
    """The dockerd processes that run with this place's folder."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            argv = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if argv[0].endswith("dockerd") and f"--data-root={place.run}/data" in argv:
                found.append(int(entry.name))
    return found


@pytest.mark.smoke
def test_it_isolates_users_and_has_no_default_bridge(own: client.Engine) -> None:
    assert (own.origin, own.isolation) == ("embedded", "userns")
    assert own.mapped_uid >= 65536 or own.mapped_uid == 100000
    with contextlib.closing(own.client()) as client:
        assert [n.name for n in client.networks.list() if n.attrs["Driver"] == "bridge"] == []


@pytest.mark.smoke
def test_a_second_run_finds_the_running_one(own: client.Engine, own_place: EnginePaths) -> None:
    before = _pid(own_place)
    assert find.ensure(find.EMBEDDED) == own
    assert _pid(own_place) == before


def test_two_first_runs_start_one_engine(own_place: EnginePaths) -> None:
    embedded.shut_down()
    runs = [_kit("engine", "start") for _ in range(3)]
    for run in runs:
        out, err = run.communicate(timeout=120)
        assert run.returncode == 0, err
        assert own_place.url in out
    assert _daemons(own_place) == [_pid(own_place)]


def _sleeper(engine: client.Engine) -> tuple[str, int]:
    """(ID, process on this machine) of a container that does nothing for long."""
    with contextlib.closing(engine.client()) as client:
        made = client.containers.run(
            tiny.image(client), ["/bin/sleep", "1000"], detach=True, network_mode="none"
        )
        made.reload()
        return str(made.id), int(made.attrs["State"]["Pid"])


@pytest.mark.parametrize(
    "victims", ["dockerd", "dockerd and containerd", "dockerd of a paused container"]
)
def test_a_killed_engine_is_replaced_with_all_it_left(
    own: client.Engine, own_place: EnginePaths, victims: str
) -> None:
    container, process = _sleeper(own)
    if "paused" in victims:
        with contextlib.closing(own.client()) as client:
            client.api.pause(container)
    before = _pid(own_place)
    containerd = [
        pid
        for pid in orphans.processes(str(own_place.run), set())
        if Path(f"/proc/{pid}/comm").read_text() == "containerd\n"
    ]
    assert len(containerd) == 1
    started = orphans.start_time(before)
    assert started is not None
    for pid in [before, *(containerd if "containerd" in victims else [])]:
        os.kill(pid, signal.SIGKILL)
    orphans.wait_gone(before, started, 10)
    assert engine_state.health(own_place) == "dead"
    assert orphans.start_time(process) is not None, "the container outlives the daemon"

    again = find.ensure(find.EMBEDDED)

    assert _pid(own_place) != before
    assert orphans.start_time(process) is None
    with contextlib.closing(again.client()) as client:
        assert client.containers.get(container).status == "exited"
        client.containers.get(container).remove()


def test_one_that_hangs_is_replaced(
    own: client.Engine, own_place: EnginePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_state, "HUNG_SECONDS", 1)
    before = _pid(own_place)
    os.kill(before, signal.SIGSTOP)
    assert engine_state.health(own_place) == "hung"
    find.ensure(find.EMBEDDED)
    assert orphans.start_time(before) is None
    assert _daemons(own_place) == [_pid(own_place)]


def test_a_stale_pid_of_somebody_else_is_left_alone(own_place: EnginePaths) -> None:
    embedded.shut_down()
    other = subprocess.Popen(["sleep", "1000"])
    try:
        own_place.run.mkdir()
        (own_place.run / "engine.pid").write_text(str(other.pid))
        own_place.state.write_text(
            f'{{"pid": {other.pid}, "started": 1, "pool": "198.51.100.0/24", "owner": [0, 0]}}'
        )
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(own_place.socket))
        assert engine_state.health(own_place) == "dead"
        engine = find.ensure(find.EMBEDDED)
        assert engine.url == own_place.url
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_data_that_no_daemon_can_read_is_replaced(
    own: client.Engine, own_place: EnginePaths
) -> None:
    embedded.shut_down()
    (networks,) = own_place.data.glob("*/network/files/local-kv.db")
    networks.write_bytes(b"not a database" * 1000)
    engine = find.ensure(find.EMBEDDED)
    with contextlib.closing(engine.client()) as client:
        assert client.ping()
    assert not own_place.data.with_name("data.broken").exists()


def test_one_whose_data_were_removed_is_replaced(
    own: client.Engine, own_place: EnginePaths
) -> None:
    """As by someone who needs room on their disk."""
    before = _pid(own_place)
    shutil.rmtree(own_place.data.parent, ignore_errors=True)
    assert engine_state.health(own_place) == "hung"

    again = find.ensure(find.EMBEDDED)

    assert _daemons(own_place) == [_pid(own_place)] != [before]
    assert own_place.data.is_dir()
    container, _ = _sleeper(again)
    with contextlib.closing(again.client()) as client:
        client.containers.get(container).remove(force=True)


@pytest.mark.smoke
def test_stopping_leaves_nothing_on_the_machine(own: client.Engine, own_place: EnginePaths) -> None:
    state = engine_state.read_state(own_place)
    assert state is not None
    routes = ["ip", "route", "show", "type", "blackhole"]
    assert state.pool in subprocess.run(routes, capture_output=True, text=True).stdout
    assert firewall.present(own_place.key)
    _sleeper(own)
    mounts = Path("/proc/self/mounts").read_text()
    assert str(own_place.run) not in mounts, "its mounts are its own"

    assert embedded.shut_down()

    assert not own_place.run.exists()
    assert state.pool not in subprocess.run(routes, capture_output=True, text=True).stdout
    assert not firewall.present(own_place.key)
    assert list(orphans.processes(str(own_place.run), set())) == []
    assert engine_state.health(own_place) == "stopped"
    assert not embedded.shut_down(), "there is nothing to stop any more"


def test_no_space_is_said_before_anything_starts(
    own_place: EnginePaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = tmp_path / "small disk"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", full], check=True)
    try:
        monkeypatch.setenv("DRYDOCK_HOME", str(full))
        with pytest.raises(EngineFault) as caught:
            find.ensure(find.EMBEDDED)
        assert "free" in caught.value.what
        assert "DRYDOCK_HOME" in (caught.value.remedy or "")
        assert _daemons(engine_paths.current()) == []
    finally:
        subprocess.run(["umount", full], check=True)


def test_an_engine_that_was_asked_for_must_answer(tmp_path: Path) -> None:
    with pytest.raises(EngineFault, match="No Docker engine answers"):
        find.find(f"unix://{tmp_path}/none.sock")


def test_docker_host_counts_and_one_that_is_gone_is_passed_over(
    own: client.Engine, own_place: EnginePaths, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", own_place.url)
    found = find.find()
    assert found is not None
    assert (found.origin, found.url) == ("environment", own_place.url)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    found = find.find()
    assert found is not None
    assert found.origin != "environment"


def test_the_kits_own_goes_before_an_engine_that_only_happens_to_be_there(
    engine: client.Engine,
    own: client.Engine,
    own_place: EnginePaths,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    if not engine.url.startswith("unix://"):
        pytest.skip("the default context is a Unix socket")
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    default = ContextAPI.DEFAULT_CONTEXT
    monkeypatch.setitem(default.endpoints["docker"], "Host", engine.url)
    # As if the session's engine were the system's: no one asked for it.
    assert find.find() == own
    embedded.shut_down()
    found = find.find()
    assert found is not None
    assert (found.origin, found.url) == ("context", engine.url)
    assert find.ensure() == own, "it has the image set: it is started again"


def test_the_current_context_counts(
    own: client.Engine, own_place: EnginePaths, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    ContextAPI.create_context("lab", host=own_place.url)
    monkeypatch.setenv("DOCKER_CONTEXT", "lab")
    found = find.find()
    assert found is not None
    assert (found.origin, found.url) == ("context", own_place.url)


def test_without_rights_and_engine_it_says_what_to_do(tmp_path: Path) -> None:
    setpriv = packages.program("setpriv")
    if os.geteuid() != 0 or setpriv is None:
        pytest.skip("needs root to become someone without rights")
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 65534, 65534)
    # Someone who may read (this Python may lie where only its owner looks), and nothing else.
    rights = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    no_one = [setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", *rights]
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("SUDO_")},
        "DRYDOCK_HOME": str(home),
        "DOCKER_CONFIG": str(tmp_path),
        "HOME": str(home),
    }
    done = subprocess.run(
        [*no_one, sys.executable, "-m", "grader", "engine", "start"],
        env=environment,
        capture_output=True,
        text=True,
        cwd=paths.KIT,
    )
    assert done.returncode == NoEngine.exit_code == 3, done.stderr
    assert "root" in done.stderr
    assert "Traceback" not in done.stderr
    assert "docker version" in done.stderr, "the remedy"


def test_start_up_failure_shows_the_daemons_own_words(
    own_place: EnginePaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded.shut_down()
    broken = own_place.home / "bin"
    broken.mkdir()
    (broken / "dockerd").write_text("#!/bin/sh\necho 'level=fatal msg=\"no such luck\"'\nexit 1\n")
    (broken / "dockerd").chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken}:{os.environ['PATH']}")
    with pytest.raises(EngineFault, match="no such luck"):
        find.ensure(find.EMBEDDED)
    assert _daemons(own_place) == []
