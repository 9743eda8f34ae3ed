"""What the engine tests share: one engine and one image set for the whole session."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from grader.engine import embedded, engine_paths, find, images, orphans, packages
from tests import lanes

if TYPE_CHECKING:
    from grader.engine.client import Engine


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The engine that a user's run would use; started if there is none."""
    return find.ensure(os.environ.get("DRYDOCK_TEST_ENGINE") or None)


@pytest.fixture(scope="session")
def image_set(engine: Engine, request: pytest.FixtureRequest) -> Any:
    """The lab's image set on that engine; built if it is not there (minutes)."""
    if hasattr(request.config, "workerinput"):
        return lanes.image_set(engine)
    return images.ensure(engine)


@pytest.fixture(scope="module")
def own_place(
    engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[engine_paths.EnginePaths]:
    """A data directory, and so an embedded engine, of the test module's own.

    The session's engine comes first: it must not be looked for in that directory.
    """
    if not packages.is_root():
        pytest.skip("starting and breaking engines needs root")
    home: Path = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DRYDOCK_HOME", str(home))
        place = engine_paths.current()
        try:
            yield place
        finally:
            embedded.shut_down()


@pytest.fixture
def left(engine: Engine) -> Callable[[], set[str]]:
    """What sandboxes of this data directory are or were there, in engine and system."""
    place = engine_paths.current()

    def look() -> set[str]:
        client = engine.client()
        mine = {"label": f"drydock.home={place.key}"}
        found = {
            *(c["Names"][0] for c in client.api.containers(all=True, filters=mine)),
            *(n["Name"] for n in client.api.networks(filters=mine)),
            *(v["Name"] for v in client.api.volumes(filters=mine)["Volumes"] or []),
            *orphans.loops(place.home / "disks"),
            *(str(path) for path in (place.home / "runs").glob("*.json")),
            *(str(path) for path in (place.home / "disks").glob("*")),
            *(str(path) for path in place.nodes.glob("*")),
        }
        client.close()
        mounts = Path("/proc/mounts").read_text(encoding="utf-8") if engine.local else ""
        return found | {line for line in mounts.splitlines() if str(place.home / "disks") in line}

    return look


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    if not packages.is_root():
        pytest.skip("mounting needs root")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", place])
    if mounted.returncode != 0:
        pytest.skip("nothing can be mounted here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)
