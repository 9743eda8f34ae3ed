"""The offline box, as far as it can be judged without building one."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from grader import paths
from grader.cli import box as command
from grader.cli import main
from grader.errors import EngineFault, KitError
from grader.release import box
from grader.release.box import archive, debian, preload
from grader.release.box.recipe import FOLDER


def test_packages_come_from_the_sources_that_are_handed_in() -> None:
    recipe = box.Recipe.read()
    source = f"deb http://mirror.example/debian {recipe.suite} main"
    proxies = {"Acquire::http::Proxy": "http://proxy.example:3128"}
    call = debian.bootstrap_command(recipe, Path("/somewhere/root"), [source], proxies)
    assert call[-3:] == [recipe.suite, "/somewhere/root", source]
    assert '--aptopt=Acquire::http::Proxy "http://proxy.example:3128"' in call
    assert any(word.startswith("--include=linux-image") and "docker.io" in word for word in call)
    assert any(word.startswith("DRYDOCK_KEY=ssh-rsa ") for word in call)
    assert any(word.startswith("DRYDOCK_OFFLINE=nginx ") for word in call)


def test_a_node_from_the_box_needs_no_restart_of_its_engine() -> None:
    provision = (paths.KIT / "vagrant" / "provision" / "engine.sh").read_text("utf-8")
    setup = (FOLDER / "setup.sh").read_text("utf-8")
    for said in (r"wanted='(.*?)'", r"printf '%s\\n' (.*?) >/etc/modules-load"):
        found = re.search(said, provision, re.DOTALL)
        assert found is not None
        assert found[1] in setup


def made(folder: Path) -> Path:
    folder.mkdir()
    for name in ("vmlinuz", "initrd.img", "box.img"):
        (folder / name).write_bytes(name.encode())
    path = folder / "node.box"
    archive.pack(box.Recipe.read(), folder, path)
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
    listing = json.loads(archive.listing(recipe, path))
    assert listing["name"] == "drydock/node"
    (version,) = listing["versions"]
    (provider,) = version["providers"]
    assert version["version"] == recipe.version
    assert provider["url"] == "node.box"
    assert provider["checksum"] == sha256(path.read_bytes()).hexdigest()


# apt as packages.sh uses it: its cache has the epoch in a file's name.
APT = """\
#!/usr/bin/env bash
for word in "$@"; do case $word in Dir::Cache::Archives=*) folder=${word#*=} ;; esac; done
mkdir -p "$folder/partial"
echo "${!#}" >"$folder/${!#}_2%3a8.2+93_all.deb"
echo lib >"$folder/lib-of_1.0-1_amd64.deb"
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="boxes are built on Linux")
def test_the_packages_in_the_box_are_a_package_source(tmp_path: Path) -> None:
    root = tmp_path / "with_underscore" / "root"
    (root / "etc/apt").mkdir(parents=True)
    (root / "etc/apt/sources.list").write_text("the network's\n")
    for name, script in {
        "apt-get": APT,
        "dpkg-deb": '#!/bin/sh\necho "Package: $(cat "$2")"\n',
    }.items():
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    settings = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "DRYDOCK_OFFLINE": "web php",
        "MMDEBSTRAP_APT_CONFIG": "/dev/null",
        "SOURCE_DATE_EPOCH": "0",
    }
    script = str(FOLDER / "packages.sh")
    subprocess.run(["bash", script, str(root)], env=settings, check=True, timeout=60)
    store = root / "usr/local/share/drydock/packages"
    names = ["lib-of_1.0-1_amd64.deb", "php_8.2+93_all.deb", "web_8.2+93_all.deb"]
    assert sorted(path.name for path in store.glob("*")) == ["Packages", "Release", *names]
    listed = (store / "Packages").read_text().split("\n\n")
    assert [entry.splitlines()[:2] for entry in listed[:3]] == [
        [f"Package: {name.split('_')[0].replace('-of', '')}", f"Filename: ./{name}"]
        for name in names
    ]
    checked = f" {sha256((store / 'Packages').read_bytes()).hexdigest()} "
    assert checked in (store / "Release").read_text()
    assert (root / "etc/apt/sources.list.d/network.list").read_text() == "the network's\n"
    assert "file:/usr/local/share/drydock/packages" in (root / "etc/apt/sources.list").read_text()


def test_exercises_choose_images() -> None:
    assert command._tags([]) == set()
    assert "nginx:1.22" in command._tags(["webserver"])
    assert "drydock/demo:1.0" not in command._tags(["webserver"])
    assert "drydock/demo:1.0" in command._tags(["webserver", "swarm"])
    with pytest.raises(KitError, match="No lab has an exercise 'sailing'"):
        command._tags(["sailing"])


@pytest.mark.parametrize("other", [["--no-images"], ["--bundle", "file"]])
def test_images_come_from_one_place(other: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["box", "--exercise", "swarm", *other])
    assert "not allowed with" in capsys.readouterr().err


ONE = "sha256:" + "1" * 64


def given(ids: dict[str, str], chunks: Iterable[bytes] = (b"some", b"images")) -> box.Images:
    @contextlib.contextmanager
    def stream() -> Iterator[Iterable[bytes]]:
        yield chunks

    return box.Images(ids, stream)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A stand-in for the box's engine: the list is what it runs."""
    script = ["true"]
    monkeypatch.setattr(
        preload, "_command", lambda root, *_: ["sh", "-c", script[0], "sh", str(root)]
    )
    return script


def test_the_boxs_engine_gets_the_images(tmp_path: Path, engine: list[str]) -> None:
    engine[0] = f'cat >"$1/got"; echo Loaded; echo {ONE} one:1'
    said: list[str] = []
    preload.fill(tmp_path, given({"one:1": ONE}), said.append)
    assert (tmp_path / "got").read_bytes() == b"someimages"
    assert said[-1] == "0 MB of images"
    with pytest.raises(EngineFault, match="other images than it was given: two:1"):
        preload.fill(tmp_path, given({"one:1": ONE, "two:1": ONE}), said.append)


def test_an_engine_that_does_not_start_is_quoted(tmp_path: Path, engine: list[str]) -> None:
    engine[0] = "echo no overlay here >&2; exit 1"
    # More than a pipe holds: it must not wait for a reader that has gone.
    chunks = [bytes(1 << 20)] * 4
    with pytest.raises(EngineFault, match="no overlay here"):
        preload.fill(tmp_path, given({}, chunks), lambda _line: None)


def test_the_engine_has_ended_when_the_images_break_off(tmp_path: Path, engine: list[str]) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise KitError("The bundle is damaged.")

    engine[0] = 'cat >/dev/null; sleep 0.3; echo ended >"$1/ended"'
    with pytest.raises(KitError, match="damaged"):
        preload.fill(tmp_path, given({}, chunks()), lambda _line: None)
    assert (tmp_path / "ended").exists()
