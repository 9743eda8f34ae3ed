"""`grade --cluster`: workers in processes of their own, over TLS, as on other machines."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grader import paths, record
from grader.classroom.batch import cluster as batch_cluster
from grader.engine import packages
from grader.lab import labfile
from grader.record import Record
from grader.waiting import wait_until
from tests.engine import kit
from tests.engine.small_class import PARTS, THREE, Class
from tests.engine.workers import Cluster

pytestmark = pytest.mark.engine


@pytest.fixture
def cluster(tmp_path: Path, image_set: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    openssl = packages.program("openssl")
    if openssl is None:
        pytest.skip("openssl is needed to make keys")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    argv = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=drydock"]
    subprocess.run([openssl, *argv, "-out", cert, "-keyout", key], check=True, capture_output=True)
    tls = "DASK_DISTRIBUTED__COMM__TLS__"
    monkeypatch.setenv(f"{tls}CA_FILE", str(cert))
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        monkeypatch.setenv(f"{tls}{role}__CERT", str(cert))
        monkeypatch.setenv(f"{tls}{role}__KEY", str(key))
    made = Cluster()
    try:
        yield made
    finally:
        made.end()


def begun(one: Class, cluster: Cluster, left: Callable[[], set[str]]) -> kit.Running:
    """A batch of which a worker has begun something."""
    running = kit.Running(*one.where, "--cluster", cluster.address)
    running.until("submissions at once")
    assert wait_until(left, within=60), "the worker has begun"
    return running


def finished(running: kit.Running, one: Class) -> bool:
    """Whether a batch ended well, with all graded; it is waited for."""
    out, _ = running.process.communicate(timeout=600)
    running.said += out
    assert running.process.returncode == 0, running.said
    assert "Traceback" not in running.said
    return one.graded().keys() == PARTS


def kill_workers(one: Class, cluster: Cluster, student: str, over: threading.Event) -> None:
    """Kill each worker process that has begun checks of the student, until it is `over`."""
    sessions = {running.process.pid for running in cluster.workers}
    while not over.wait(0.1):
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, ValueError):
                words = (process / "cmdline").read_bytes().decode("utf-8").split("\0")
                if "grader.grading.process" not in words:
                    continue
                job = json.loads(Path(words[-2]).read_text(encoding="utf-8"))
                if (job["student"], job["lab"]) == (student, str(one.lab.folder)):
                    above = int((process / "stat").read_text().rpartition(")")[2].split()[1])
                    # Checks whose worker is gone are the child of someone who has no part in it.
                    if os.getsid(above) in sessions:
                        os.kill(above, signal.SIGKILL)


def timeless(found: Record | None) -> Record:
    """A record without what differs from run to run."""
    assert found is not None
    exercises = tuple(
        dataclasses.replace(
            e,
            graded_at="",
            seconds={},
            checks=tuple(dataclasses.replace(c, seconds=0) for c in e.checks),
        )
        for e in found.exercises
    )
    return dataclasses.replace(found, exercises=exercises, started="", finished="")


def test_two_workers_give_the_same_records_as_none(
    tmp_path: Path, cluster: Cluster, left: Callable[[], set[str]]
) -> None:
    alone = Class(tmp_path / "alone", THREE)
    assert alone.grade().returncode == 0
    one = Class(tmp_path / "shared", THREE)
    cluster.worker()
    cluster.worker()
    done = one.grade("--cluster", cluster.address)
    assert done.returncode == 0, done.stderr
    assert "2 workers take" in done.stderr
    for student in THREE:
        found, expected = (timeless(which.results.record(student)) for which in (one, alone))
        keyless = [
            dataclasses.replace(
                which, exercises=tuple(dataclasses.replace(e, key="") for e in which.exercises)
            )
            for which in (found, expected)
        ]
        assert keyless[0] == keyless[1]
    again = one.grade()
    assert "3 graded already, with the same files." in again.stderr, (
        "keys are those of this machine"
    )
    said = cluster.end()
    assert sum(text.count(": graded") for text in said) == 3
    assert not any("Traceback" in text for text in said)
    assert not left()


def test_a_worker_that_dies_loses_nothing(
    tmp_path: Path,
    cluster: Cluster,
    left: Callable[[], set[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DRYDOCK_TEST_SECONDS", "4")
    one = Class(tmp_path / "class", THREE)
    first = cluster.worker()
    running = begun(one, cluster, left)
    cluster.worker()
    time.sleep(1)
    first.kill()
    assert finished(running, one)
    cluster.end()
    assert not left()


def test_a_worker_that_is_stopped_loses_nothing(
    tmp_path: Path,
    cluster: Cluster,
    left: Callable[[], set[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DRYDOCK_TEST_SECONDS", "4")
    one = Class(tmp_path / "class", THREE)
    first = cluster.worker()
    running = begun(one, cluster, left)
    cluster.worker()
    first.interrupt()
    assert finished(running, one)
    assert "Traceback" not in first.said
    cluster.end()
    assert not left()


def test_a_scheduler_that_dies_pauses_the_batch_until_it_is_there_again(
    tmp_path: Path,
    cluster: Cluster,
    left: Callable[[], set[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DRYDOCK_TEST_SECONDS", "4")
    one = Class(tmp_path / "class", THREE)
    cluster.worker()
    running = begun(one, cluster, left)
    cluster.scheduler.kill()
    running.until("Paused: The scheduler at")
    cluster.schedule()
    cluster.worker()
    running.until("Recovered; regrading")
    assert finished(running, one)
    cluster.end()
    assert not left()


def test_a_scheduler_asked_just_after_its_death_is_trouble_to_wait_for(image_set: Any) -> None:
    bare = Cluster("tcp")
    try:
        bare.worker()
        with batch_cluster.Cluster(bare.address, labfile.load("lab4"), print) as executor:
            assert executor.ill() is None
            bare.scheduler.kill()
            # Its client finds out a moment later: until then, too, the answer is this one.
            for _ in range(20):
                assert executor.width == 1
                told = executor.ill()
                assert told is not None
                assert "does not answer" in told.what
                trouble = told
            bare.schedule()
            bare.worker()
            assert wait_until(lambda: executor.recover(trouble) is None, within=60)
            assert executor.ill() is None
    finally:
        bare.end()


def test_a_submission_that_takes_two_workers_down_is_set_aside_and_the_others_are_graded(
    tmp_path: Path, cluster: Cluster
) -> None:
    one = Class(tmp_path / "class", {"s0000001": "take the worker down", "s0000002": "well"})
    for _ in range(3):
        cluster.worker()
    over = threading.Event()
    # Checks cannot do it themselves: they run as a user of their own.
    killer = threading.Thread(target=kill_workers, args=(one, cluster, "s0000001", over))
    killer.start()
    try:
        done = one.grade("--cluster", cluster.address)
    finally:
        over.set()
        killer.join()
    assert done.returncode == 3, done.stderr
    assert "s0000001: not gradable: Two workers" in done.stderr
    assert {student for student, _ in one.graded()} == {"s0000002"}


def test_ctrl_c_ends_what_the_workers_do(
    tmp_path: Path,
    cluster: Cluster,
    left: Callable[[], set[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DRYDOCK_TEST_SECONDS", "60")
    one = Class(tmp_path / "class", THREE)
    cluster.worker()
    running = begun(one, cluster, left)
    assert running.interrupt() == 130
    assert "Traceback" not in running.said
    assert wait_until(lambda: not left(), within=30), "long before the checks would have ended"


def test_no_scheduler_and_no_worker_are_said_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Class(tmp_path / "class", THREE)
    record_before = record.load(one.results.record_file("s0000001"))
    done = one.grade("--cluster", "tcp://127.0.0.1:9")
    assert done.returncode == 3
    assert "No scheduler answers at tcp://127.0.0.1:9" in done.stderr
    assert "nox -s worker" in done.stderr
    assert "Traceback" not in done.stderr
    assert record.load(one.results.record_file("s0000001")) == record_before


@pytest.mark.parametrize("names", [{}, {"CA_FILE": "nowhere.pem", "CLIENT__CERT": "nowhere.pem"}])
def test_tls_without_keys_says_where_to_name_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: dict[str, str]
) -> None:
    for name, file in names.items():
        for role in ("CLIENT", "WORKER", "SCHEDULER"):
            monkeypatch.setenv(
                f"DASK_DISTRIBUTED__COMM__TLS__{name.replace('CLIENT', role)}", str(tmp_path / file)
            )
    one = Class(tmp_path / "class", THREE)
    for role, done in (
        ("CLIENT", one.grade("--cluster", "tls://127.0.0.1:9")),
        ("WORKER", kit.run("worker", "tls://127.0.0.1:9")),
        ("SCHEDULER", kit.run("worker", "--scheduler", "tls://127.0.0.1:9")),
    ):
        assert done.returncode == 2, done.stderr
        told = "The keys for tls:// cannot be used" if names else "tls:// needs keys"
        assert told in done.stderr
        assert f"…__TLS__{role}__CERT" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_worker_with_another_version_of_the_kit_is_named_and_grades_nobody(
    tmp_path: Path, cluster: Cluster
) -> None:
    other = tmp_path / "kit"
    for part in ("grader", "labs", "templates"):
        shutil.copytree(
            paths.KIT / part, other / part, ignore=shutil.ignore_patterns("__pycache__")
        )
    with (other / "grader" / "checks.py").open("a", encoding="utf-8") as file:
        file.write("\n# another version\n")
    one = Class(tmp_path / "class", THREE)
    cluster.worker()
    cluster.worker(folder=other)
    done = one.grade("--cluster", cluster.address)
    assert done.returncode == 2
    assert "These workers have another version of the kit: tls://127.0.0.1:" in done.stderr
    assert "Install the same version of the kit" in done.stderr
    assert "Traceback" not in done.stderr
    assert not one.graded()
