"""images.sh on a node, against a stand-in for docker."""

from __future__ import annotations

import io
import json
import os
import platform
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from grader import paths

SCRIPT = paths.KIT / "vagrant" / "provision" / "images.sh"
ONE, TWO = "1" * 64, "2" * 64

pytestmark = pytest.mark.skipif(
    os.name == "nt" or not all(map(shutil.which, ("bash", "unzip", "awk"))),
    reason="the nodes' scripts need a Linux shell and unzip",
)

# `there` has the engine's images, `loaded` what was handed to it.
DOCKER = """\
#!/usr/bin/env bash
case "$*" in
    "image ls -q"*) cut -c 8-19 "$FAKE/there" ;;
    "image ls"*) cat "$FAKE/there" ;;
    "load --quiet") cat >>"$FAKE/loaded" ;;
esac
"""


class Node:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        docker = folder / "bin" / "docker"
        docker.write_text(DOCKER)
        docker.chmod(0o755)
        self.has()

    def has(self, *images: str) -> None:
        (self.folder / "there").write_text("".join(f"sha256:{image}\n" for image in images))

    @property
    def loaded(self) -> bytes | None:
        file = self.folder / "loaded"
        return file.read_bytes() if file.exists() else None

    def run(self, bundle: Path | None = None) -> subprocess.CompletedProcess[str]:
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", str(SCRIPT), str(bundle or self.folder / "none")],
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            env={**os.environ, "PATH": path, "FAKE": str(self.folder)},
        )
        assert bundle is None or not bundle.exists(), "what was sent takes room on the node"
        return done


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def saved(folder: Path, architecture: str = platform.machine(), **layout: Any) -> Path:
    """A bundle as `images save` writes it."""
    path = folder / "images.bundle"
    images = {
        "one": {
            "id": f"sha256:{ONE}",
            "origin": "built",
            "recipe": "r",
            "tags": ["one:1", "one:2"],
        },
        "two": {"id": f"sha256:{TWO}", "origin": "built", "recipe": "r", "tags": ["two:1"]},
    }
    manifest = {"version": "v", "architecture": architecture, "images": images}
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr("images.tar", "the images")
        bundle.writestr("manifest.json", json.dumps(manifest, **layout))
    return path


def plain(folder: Path, config: str) -> Path:
    """What `docker save` itself writes."""
    path = folder / "images.tar"
    entries = [
        {"Config": config.format(ONE), "RepoTags": ["one:1"], "Layers": ["a/layer.tar"]},
        {"Config": config.format(TWO), "RepoTags": None, "Layers": ["a/layer.tar"]},
    ]
    content = json.dumps(entries).encode()
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo("manifest.json")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return path


def test_a_box_with_images_needs_no_bundle(node: Node) -> None:
    assert "No bundle of images" in node.run().stdout
    node.has(f"{ONE} one:1")
    assert node.run().stdout == "The image set is loaded already: 1 images.\n"
    assert node.loaded is None


@pytest.mark.parametrize("indent", [None, 1])
def test_a_bundle_is_loaded_once(node: Node, tmp_path: Path, indent: int | None) -> None:
    node.has(f"{ONE} one:1", f"{TWO} two:1", f"{TWO} other:3")
    done = node.run(saved(tmp_path, indent=indent))
    assert done.returncode == 0, done.stderr
    assert node.loaded == b"the images", "one name was missing"
    node.has(f"{ONE} one:1", f"{ONE} one:2", f"{TWO} two:1", f"{TWO} other:3")
    (tmp_path / "loaded").unlink()
    assert node.run(saved(tmp_path, indent=indent)).stdout == (
        "The image set is loaded already: 2 images.\n"
    )
    assert node.loaded is None


def test_an_image_of_the_same_name_is_not_the_image(node: Node, tmp_path: Path) -> None:
    node.has(f"{TWO} one:1", f"{TWO} one:2", f"{TWO} two:1")
    node.run(saved(tmp_path))
    assert node.loaded == b"the images"


@pytest.mark.parametrize("config", ["{}.json", "blobs/sha256/{}"])
def test_what_docker_save_wrote_is_compared_too(node: Node, tmp_path: Path, config: str) -> None:
    node.has(f"{ONE} one:1")
    assert "loaded already" in node.run(plain(tmp_path, config)).stdout
    node.has(f"{TWO} one:1")
    content = plain(tmp_path, config).read_bytes()
    assert node.run(tmp_path / "images.tar").returncode == 0
    assert node.loaded == content


def test_images_for_another_processor_are_refused(node: Node, tmp_path: Path) -> None:
    done = node.run(saved(tmp_path, architecture="sparc"))
    assert done.returncode == 1
    assert "has images for sparc" in done.stderr
    assert node.loaded is None
