"""A workspace that a stranger made: nothing outside it is read, written or moved."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grader.errors import KitError
from grader.files import safe_folder
from grader.handout import workspace
from grader.lab import labfile
from grader.lab.model import Lab
from tests.unit import outside

LAB4 = labfile.load("lab4")
ME = "s1234567"
SECRET = b"what no one may see or lose\n"
POSIX = pytest.mark.skipif(os.name != "posix", reason="links and pipes as POSIX has them")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this installation keeps its secret."""
    home = tmp_path / "home"
    monkeypatch.setenv("DRYDOCK_HOME", str(home))
    return home


@pytest.fixture
def toy(tmp_path: Path) -> Lab:
    templates = tmp_path / "templates"
    (templates / "site" / "deep").mkdir(parents=True)
    (templates / "README.md").write_bytes(b"read me\n")
    (templates / "site" / "a.txt").write_bytes(b"a 1\n")
    (templates / "site" / "deep" / "c.txt").write_bytes(b"c 1\n")
    return replace(LAB4, templates=templates)


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """A folder outside with files in it, which is the same afterwards."""
    folder = tmp_path / "victim"
    (folder / "deep").mkdir(parents=True)
    for name in ("victim.txt", "a.txt", "README.md", "deep/c.txt", "compose.yaml"):
        (folder / name).write_bytes(SECRET)
    before = outside.snapshot(folder)
    yield folder
    assert outside.snapshot(folder) == before


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def spoil(out: Path, **changes: Any) -> None:
    """Change the note of a workspace, as a stranger can: names and hashes are no secret."""
    file = out / ".drydock.json"
    state = json.loads(file.read_text(encoding="utf-8"))
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(state.get(key), dict):
            state[key].update(value)
        else:
            state[key] = value
    file.write_text(json.dumps(state), encoding="utf-8")


def names_of(victim: Path) -> list[str]:
    file = victim / "victim.txt"
    return [
        "../victim/victim.txt",
        "site/../../victim/victim.txt",
        "./../victim/victim.txt",
        "..\\victim\\victim.txt",
        str(file),
        "/" + str(file),
        "//" + str(file).lstrip("/"),
        "\\\\localhost\\c$\\victim.txt",
        "\\\\?\\C:\\victim.txt",
        "C:victim.txt",
        "C:\\victim.txt",
        "~/victim.txt",
        "link/victim.txt",
        "nul\0byte",
        "\ud800",
        "x" * 5000,
        "/".join("d" * 600),
        "",
        ".",
        "..",
        "/",
    ]


@pytest.mark.parametrize("number", range(21))
@pytest.mark.parametrize("where", ["written", "rendered"])
def test_a_name_in_the_note_reaches_nothing(
    toy: Lab, tmp_path: Path, victim: Path, number: int, where: str
) -> None:
    """`handout` would delete or move a file whose content has the hash that the note says."""
    out = tmp_path / "out"
    name = names_of(victim)[number]
    workspace.write(toy, ME, out)
    if hasattr(os, "symlink"):
        (out / "link").symlink_to(victim)
    spoil(out, **{where: {name: sha(SECRET)}})
    for _ in range(2):
        result = workspace.write(toy, ME, out)
        assert (result.written, result.removed, result.kept, result.gone) == ([], [], [], [])
    assert name not in json.loads((out / ".drydock.json").read_bytes())[where]


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.dictionaries(
        st.one_of(
            st.text(max_size=40),
            st.lists(
                st.sampled_from(
                    ["..", ".", "", "site", "victim", "victim.txt", "a.txt", "C:", "~"]
                ),
                max_size=5,
            ).map("/".join),
        ),
        st.sampled_from([sha(SECRET), "", "x"]),
        max_size=4,
    )
)
def test_no_name_reaches_anything(
    toy: Lab, tmp_path: Path, victim: Path, named: dict[str, str]
) -> None:
    out = tmp_path / "out"
    workspace.write(toy, ME, out)
    spoil(out, written=named, rendered=named)
    before = outside.snapshot(tmp_path, but=[out])
    workspace.write(toy, ME, out)
    assert outside.snapshot(tmp_path, but=[out]) == before
    assert (out / "site/a.txt").read_bytes() == b"a 1\n"


def test_what_another_installation_noted_deletes_nothing(
    toy: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what was rendered here is known to be the lab's; the rest is said by a stranger."""
    out = tmp_path / "out"
    workspace.write(toy, ME, out)
    monkeypatch.setenv("DRYDOCK_HOME", str(tmp_path / "elsewhere"))
    (toy.templates / "site/a.txt").unlink()
    (toy.templates / "README.md").write_bytes(b"read me 2\n")
    result = workspace.write(toy, ME, out)
    assert result.removed == []
    assert (out / "site/a.txt").read_bytes() == b"a 1\n"
    assert result.updated == ["README.md"]


def test_without_a_place_for_the_secret_all_else_works(
    toy: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("DRYDOCK_HOME", str(tmp_path / "file" / "home"))
    out = tmp_path / "out"
    workspace.write(toy, ME, out)
    before = outside.snapshot(out)
    assert workspace.write(toy, ME, out).written == []
    assert outside.snapshot(out) == before


@POSIX
def test_the_secret_is_the_owners_alone(toy: Lab, tmp_path: Path, home: Path) -> None:
    workspace.write(toy, ME, tmp_path / "out")
    assert stat.S_IMODE((home / "handout.key").stat().st_mode) == 0o600


@POSIX
@pytest.mark.parametrize("gone", [False, True])
def test_starters_are_not_written_through_a_linked_folder(
    toy: Lab, tmp_path: Path, victim: Path, gone: bool
) -> None:
    out = tmp_path / "out"
    workspace.write(toy, ME, out)
    shutil.rmtree(out / "site")
    (out / "site").symlink_to(tmp_path / "nowhere" if gone else victim)
    for restore in ([], ["site/a.txt"]):
        with pytest.raises(KitError, match="it is a link") as caught:
            workspace.write(toy, ME, out, restore=restore)
        assert caught.value.where == str(out / "site")
        assert caught.value.remedy
    assert not (tmp_path / "nowhere").exists()


@POSIX
def test_not_even_where_nothing_was_handed_out_yet(toy: Lab, tmp_path: Path, victim: Path) -> None:
    for name in ("site", "site/deep"):
        out = tmp_path / name.replace("/", "-")
        (out / name).parent.mkdir(parents=True)
        (out / name).symlink_to(victim)
        with pytest.raises(KitError, match="it is a link"):
            workspace.write(toy, ME, out)


@POSIX
@pytest.mark.parametrize("dangling", [False, True])
def test_a_linked_file_is_neither_read_nor_written(
    toy: Lab, tmp_path: Path, victim: Path, dangling: bool
) -> None:
    out = tmp_path / "out"
    workspace.write(toy, ME, out)
    target = tmp_path / "nowhere" if dangling else victim / "a.txt"
    (out / "site/a.txt").unlink()
    (out / "site/a.txt").symlink_to(target)
    spoil(out, written={"site/a.txt": sha(SECRET)})
    for restore in ([], ["site/a.txt"]):
        with pytest.raises(KitError, match=r"site/a\.txt .*it is a link"):
            workspace.write(toy, ME, out, restore=restore)
    assert (out / "site/a.txt").is_symlink()
    assert not (tmp_path / "nowhere").exists()


@POSIX
def test_links_for_copies_are_passed_by(toy: Lab, tmp_path: Path, victim: Path) -> None:
    """NAME.bak may lead somewhere, or nowhere: the copy gets another name."""
    out = tmp_path / "out"
    workspace.write(toy, ME, out)
    (out / "site/a.txt").write_bytes(b"mine\n")
    (out / "site/a.txt.bak").symlink_to(victim / "a.txt")
    (out / "site/a.txt.bak2").symlink_to(tmp_path / "nowhere")
    workspace.write(toy, ME, out, restore=["site/a.txt"])
    assert (out / "site/a.txt.bak3").read_bytes() == b"mine\n"
    assert (out / "site/a.txt").read_bytes() == b"a 1\n"
    assert not (tmp_path / "nowhere").exists()


@POSIX
def test_a_workspace_that_is_a_link_is_named(toy: Lab, tmp_path: Path, victim: Path) -> None:
    (tmp_path / "out").symlink_to(victim)
    with pytest.raises(KitError, match="is a link") as caught:
        workspace.write(toy, ME, tmp_path / "out")
    assert str(victim) in (caught.value.remedy or "")


@POSIX
def test_a_workspace_below_a_link_is_an_ordinary_one(toy: Lab, tmp_path: Path) -> None:
    """Temporary folders are such on some systems."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    workspace.write(toy, ME, tmp_path / "link/out")
    assert (tmp_path / "real/out/site/a.txt").read_bytes() == b"a 1\n"


def pipe(path: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's name may not be long
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # zeros without end
    except OSError:
        pytest.skip("only root makes devices")


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def folder(path: Path) -> None:
    path.mkdir()
    (path / "inner").write_bytes(b"")


def huge(path: Path) -> None:
    """400 MB that take no room on the disk."""
    with path.open("wb") as file:
        file.truncate(400_000_000)


@POSIX
@pytest.mark.parametrize("made", [pipe, a_socket, device, loop, folder, huge])
def test_a_note_that_is_none_is_named_and_left(toy: Lab, tmp_path: Path, made: Any) -> None:
    out = tmp_path / "out"
    workspace.write(toy, ME, out)
    (out / "site/a.txt").write_bytes(b"mine\n")
    (out / ".drydock.json").unlink()
    made(out / ".drydock.json")
    before = outside.snapshot(out)
    with pytest.raises(KitError, match=r"\.drydock\.json is not from the kit") as caught:
        workspace.write(toy, ME, out)
    assert "Move it away" in (caught.value.remedy or "")
    assert outside.snapshot(out) == before
    with pytest.raises(KitError, match=r"\.drydock\.json"):
        workspace.check_owner(toy, ME, out)


@POSIX
@pytest.mark.parametrize("made", [pipe, a_socket, device, loop, folder])
def test_what_is_no_file_in_a_starters_place_is_named(toy: Lab, tmp_path: Path, made: Any) -> None:
    out = tmp_path / "out"
    workspace.write(toy, ME, out)
    (out / "site/a.txt").unlink()
    made(out / "site/a.txt")
    with pytest.raises(KitError, match=r"site/a\.txt cannot be read as a file"):
        workspace.write(toy, ME, out)


@POSIX
def test_a_huge_file_in_a_starters_place_is_the_students(toy: Lab, tmp_path: Path) -> None:
    out = tmp_path / "out"
    workspace.write(toy, ME, out)
    (out / "site/a.txt").unlink()
    huge(out / "site/a.txt")
    spoil(out, written={"site/a.txt": safe_folder.OTHER})
    assert workspace.write(toy, ME, out).kept == ["site/a.txt"]


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"lab": "lab4", "student": "s1234567", "inputs": "x", "rendered": {}, "written": '
        b'{"site/a.txt": 7}}',
        b'{"lab": "lab4", "student": "s1234567", "inputs": "x", "rendered": [], "written": {}}',
        b'{"lab": ["lab4"], "student": "s1234567", "inputs": "x", "rendered": {}, "written": {}}',
        b'{"lab": 1' + b"0" * 10_000 + b"}",
        b"NaN",
        b"null",
    ],
)
def test_a_note_that_cannot_be_used_loses_nothing_and_is_told(
    toy: Lab, tmp_path: Path, content: bytes
) -> None:
    out = tmp_path / "out"
    workspace.write(toy, ME, out)
    (out / "site/a.txt").write_bytes(b"mine\n")
    (out / ".drydock.json").write_bytes(content)
    result = workspace.write(toy, ME, out)
    assert (result.kept, result.written, result.removed) == (["site/a.txt"], [], [])
    assert ".drydock.json could not be read" in result.summary()[0]
    assert (out / "site/a.txt").read_bytes() == b"mine\n"
    assert workspace.write(toy, ME, out).note == ""


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 60_000,
        b"{" * 60_000,
        b"student: !!python/object/apply:os.system [false]\n",
        b"student: !!int ''\n",
        b"student: !!timestamp x\n",
        b"? [a]\n: b\n",
        b"student: &a [*a]\n",
        b"a: " + b"x" * 100_000,
        b"\xff\xfe",
        b"- student\n",
    ],
)
def test_values_that_cannot_be_read_say_nothing(toy: Lab, tmp_path: Path, content: bytes) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "variant.yaml").write_bytes(content)
    if content.startswith(b"student: "):
        # A text like any other; nothing is built from it.
        with pytest.raises(KitError, match="belongs to the student"):
            workspace.write(toy, ME, out)
    else:
        assert workspace.write(toy, ME, out).kept == ["variant.yaml"]
    assert (out / "variant.yaml").read_bytes() == content


def test_whose_folder_it_is_obeys_no_terminal(toy: Lab, tmp_path: Path) -> None:
    out = tmp_path / "out"
    workspace.write(toy, ME, out)
    spoil(out, student="\x1b]0;mine\x07" + "x" * 1000)
    with pytest.raises(KitError, match="belongs to the student") as caught:
        workspace.write(toy, ME, out)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 400


@POSIX
def test_solutions_are_not_written_through_a_link(toy: Lab, tmp_path: Path, victim: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "site").symlink_to(victim)
    with pytest.raises(KitError, match="it is a link"):
        workspace.render_tree(toy.templates, out, {})


@POSIX
def test_a_link_in_a_files_place_is_replaced_by_the_file(tmp_path: Path, victim: Path) -> None:
    (tmp_path / "a.txt").symlink_to(victim / "a.txt")
    safe_folder.write(tmp_path, "a.txt", b"new")
    assert not (tmp_path / "a.txt").is_symlink()
    assert (tmp_path / "a.txt").read_bytes() == b"new"


@POSIX
@pytest.mark.parametrize("umask", [0, 0o077])
def test_files_are_ordinary_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        safe_folder.write(tmp_path, "a.txt", b"new")
        safe_folder.write(tmp_path, "run", b"#!/bin/sh\n")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o755


def test_a_failed_write_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(OSError, match=r"directory|denied"):
        safe_folder.write(tmp_path, "a.txt", b"new")
    assert [p.name for p in tmp_path.iterdir() if p.name != "home"] == ["a.txt"]


def without_handles(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, where no folder can be held open."""
    monkeypatch.setattr(safe_folder, "_HANDLES", False)


@POSIX
def test_systems_without_handles_look_just_before(
    toy: Lab, tmp_path: Path, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_handles(monkeypatch)
    out = tmp_path / "out"
    workspace.write(toy, ME, out)
    assert workspace.write(toy, ME, out).written == []
    (out / "site/a.txt").write_bytes(b"mine\n")
    assert workspace.write(toy, ME, out, restore=["site/a.txt"]).updated == ["site/a.txt"]
    assert (out / "site/a.txt.bak").read_bytes() == b"mine\n"
    shutil.rmtree(out / "site")
    (out / "site").symlink_to(victim)
    with pytest.raises(KitError, match="it is a link"):
        workspace.write(toy, ME, out)
