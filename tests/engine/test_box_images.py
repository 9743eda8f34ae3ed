"""Images in a box's engine, for real: a node's files stand for the box's, no machine starts."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grader.cli import box as command
from grader.engine import node_image, packages
from grader.errors import EngineFault
from grader.release import box
from grader.release.box import preload

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not packages.is_root(), reason="engines need root"),
]


@pytest.fixture(scope="module")
def files(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The node image's files: a Debian with an engine, there in seconds."""
    folder: Path = tmp_path_factory.mktemp("box") / "root"
    folder.mkdir()
    with contextlib.closing(engine.client(timeout=300)) as client:
        made = client.api.create_container(node_image.ensure(engine), command=["true"])
        try:
            with subprocess.Popen(
                ["tar", "-xpf", "-", "-C", str(folder)], stdin=subprocess.PIPE
            ) as tar:
                assert tar.stdin is not None
                for chunk in client.api.export(made["Id"]):
                    tar.stdin.write(chunk)
        finally:
            client.api.remove_container(made["Id"], force=True)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def root(files: Path) -> Iterator[Path]:
    yield files
    shutil.rmtree(files / "var/lib/docker")
    (files / "var/lib/docker").mkdir()


def layer(*entries: tuple[str, bytes | None]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, content in entries:
            member = tarfile.TarInfo(name)
            if content is None:
                member.type, member.mode = tarfile.DIRTYPE, 0o755
            member.size = len(content or b"")
            tar.addfile(member, io.BytesIO(content or b""))
    return file.getvalue()


def whiteouts() -> box.Images:
    """An image whose second layer deletes a file and empties a folder."""
    layers = {
        "one.tar": layer(("d/", None), ("d/old", b"old"), ("gone", b"gone"), ("kept", b"kept")),
        "two.tar": layer(
            (".wh.gone", b""), ("d/", None), ("d/.wh..wh..opq", b""), ("d/new", b"new")
        ),
    }
    digests = ["sha256:" + hashlib.sha256(content).hexdigest() for content in layers.values()]
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": digests}}
    ).encode()
    image = hashlib.sha256(config).hexdigest()
    entry = {"Config": f"{image}.json", "RepoTags": ["white:1"], "Layers": list(layers)}
    listed = {"manifest.json": json.dumps([entry]).encode(), f"{image}.json": config}

    @contextlib.contextmanager
    def stream() -> Iterator[Iterable[bytes]]:
        yield [layer(*layers.items(), *listed.items())]

    return box.Images({"white:1": f"sha256:{image}"}, stream)


def mounts() -> str:
    return Path("/proc/self/mounts").read_text()


def test_the_set_goes_in_and_nothing_else(engine: Any, image_set: Any, root: Path) -> None:
    before = mounts()
    images = command._of_engine(engine.url, {"alpine:3"})
    assert {"alpine:3", "alpine:latest"} <= set(images.ids)
    preload.fill(root, images, lambda _line: None)
    # No identity, no network, no container: what differs from node to node begins there.
    assert sorted(p.name for p in (root / "var/lib/docker").iterdir()) == ["image", "overlay2"]
    assert not (root / "etc/docker/key.json").exists()
    assert not list((root / "run").glob("docker*"))
    assert mounts() == before


def test_the_disk_keeps_what_layers_delete(root: Path, tmp_path: Path) -> None:
    preload.fill(root, whiteouts(), lambda _line: None)
    (upper,) = (root / "var/lib/docker/overlay2").glob("*/diff/d/new")
    disk = tmp_path / "disk.raw"
    with disk.open("wb") as file:
        file.truncate(1 << 30)
    docker = root / "var/lib/docker"
    make = ["mke2fs", "-q", "-F", "-t", "ext4", "-d", str(docker), str(disk)]
    subprocess.run(make, check=True, timeout=120)

    def asked(question: str) -> str:
        done = subprocess.run(
            ["debugfs", "-R", question, str(disk)],
            capture_output=True,
            encoding="utf-8",
            timeout=60,
        )
        return done.stdout

    there = f"/{upper.parents[1].relative_to(docker)}"
    assert "character special" in asked(f"stat {there}/gone")
    assert 'trusted.overlay.opaque (1) = "y"' in asked(f"ea_list {there}/d")


def test_what_is_no_image_is_the_engines_own_word(root: Path) -> None:
    @contextlib.contextmanager
    def stream() -> Iterator[Iterable[bytes]]:
        yield [b"no tar" * 1000]

    before = mounts()
    with pytest.raises(EngineFault, match=r"could not load the images:\n.*(tar|archive)"):
        preload.fill(root, box.Images({}, stream), lambda _line: None)
    assert mounts() == before
