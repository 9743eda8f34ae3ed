"""The offline box, as far as it can be judged without building one."""

from __future__ import annotations

import json
import tarfile
from hashlib import sha256
from pathlib import Path

from grader import box


def test_packages_come_from_the_sources_that_are_handed_in() -> None:
    recipe = box.Recipe.read()
    source = f"deb http://mirror.example/debian {recipe.suite} main"
    proxies = {"Acquire::http::Proxy": "http://proxy.example:3128"}
    call = box.bootstrap_command(recipe, Path("/somewhere/root"), [source], proxies)
    assert call[-3:] == [recipe.suite, "/somewhere/root", source]
    assert '--aptopt=Acquire::http::Proxy "http://proxy.example:3128"' in call
    assert any(word.startswith("--include=linux-image") and "docker.io" in word for word in call)
    assert any(word.startswith("DRYDOCK_KEY=ssh-rsa ") for word in call)


def made(folder: Path) -> Path:
    folder.mkdir()
    for name in ("vmlinuz", "initrd.img", "box.img"):
        (folder / name).write_bytes(name.encode())
    path = folder / "node.box"
    box.pack(box.Recipe.read(), folder, path)
    return path


def test_the_box_has_what_libvirt_wants_and_is_made_the_same_twice(tmp_path: Path) -> None:
    first, second = made(tmp_path / "one"), made(tmp_path / "two")
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as archive:
        assert archive.getnames() == [
            "metadata.json",
            "Vagrantfile",
            "vmlinuz",
            "initrd.img",
            "box.img",
        ]
        member = archive.extractfile("metadata.json")
        assert member is not None
        about = json.load(member)
    assert about == {"provider": "libvirt", "format": "qcow2", "virtual_size": 20}


def test_the_listing_has_the_checksum_and_lies_beside_the_box(tmp_path: Path) -> None:
    path = made(tmp_path / "one")
    recipe = box.Recipe.read()
    listing = json.loads(box.listing(recipe, path))
    assert listing["name"] == "drydock/node"
    (version,) = listing["versions"]
    (provider,) = version["providers"]
    assert version["version"] == recipe.version
    assert provider["url"] == "node.box"
    assert provider["checksum"] == sha256(path.read_bytes()).hexdigest()
