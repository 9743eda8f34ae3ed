"""A class is not graded where a submission that breaks out of its sandbox would be root."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.engine import client, packages
from grader.waiting import wait_until
from tests.engine import small_class

pytestmark = pytest.mark.engine


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose path leaves room for the names of an engine's sockets (108 characters)."""
    with tempfile.TemporaryDirectory(prefix="drydock-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def plain_engine(engine: client.Engine, short_path: Path) -> Iterator[str]:
    """An engine that does not remap users, with nothing in it. Its packages come with `engine`."""
    dockerd = packages.program("dockerd")
    if not packages.is_root() or dockerd is None:
        pytest.skip("starting an engine needs root and dockerd")
    url = f"unix://{short_path}/engine.sock"
    places = [f"--{name}={short_path / name}" for name in ("data-root", "exec-root", "pidfile")]
    rules = ["--bridge=none", "--iptables=false", "--ip6tables=false"]
    with (short_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [dockerd, *places, *rules, f"--host={url}"],
            stdout=log,
            stderr=log,
            env={"PATH": packages.SYSTEM_PATH},
        )
    try:
        up = wait_until(lambda: client.probe(url, "option"), within=60)
        assert up, (short_path / "log").read_text("utf-8")
        yield url
    finally:
        process.terminate()
        process.wait(timeout=60)


def test_an_engine_that_does_not_remap_users_is_refused_for_a_class(
    plain_engine: str, tmp_path: Path
) -> None:
    made = small_class.Class(tmp_path / "class", {"s0000001": "well"})
    done = made.grade("--engine", plain_engine)
    assert done.returncode == 2, done.stderr
    told = done.stdout + done.stderr
    assert "root on this machine" in " ".join(told.split())
    assert "--trust" in told
    assert "Traceback" not in told
    assert not made.graded()
