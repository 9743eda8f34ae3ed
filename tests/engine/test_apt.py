"""Packages of the distribution, installed beside whatever else uses apt on this machine."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path

import pytest

from grader.engine import packages
from grader.errors import EngineFault

FRONTEND = Path("/var/lib/dpkg/lock-frontend")

pytestmark = pytest.mark.skipif(
    not (packages.is_root() and FRONTEND.exists() and packages.can_install()),
    reason="needs apt, and root",
)


class Holding:
    """Another run of apt: for as long as it has the lock of dpkg, no one else installs."""

    def __enter__(self) -> Holding:
        self.file = FRONTEND.open("r+")
        fcntl.lockf(self.file, fcntl.LOCK_EX)
        return self

    def let_go(self) -> None:
        self.file.close()

    def __exit__(self, *_: object) -> None:
        self.let_go()


def test_another_run_of_apt_is_awaited() -> None:
    with Holding() as other:
        ended: list[float] = []

        def installing() -> None:
            packages.apt_install(["dpkg"], "to test")
            ended.append(1)

        install = threading.Thread(target=installing)
        install.start()
        install.join(timeout=4)
        assert install.is_alive()
        assert not ended
        other.let_go()
        install.join(timeout=300)

    assert ended, "apt was not tried again"


def test_one_that_never_ends_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "APT_PATIENCE", 0.0)
    with Holding(), pytest.raises(EngineFault, match="lock") as fault:
        packages.apt_install(["dpkg"], "to test")

    assert "apt-get install" in str(fault.value)


def test_a_package_that_is_not_there_is_no_reason_to_wait() -> None:
    with pytest.raises(EngineFault, match="no-such-package"):
        packages.apt_install(["drydock-no-such-package"], "to test")
