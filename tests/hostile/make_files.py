"""Links, pipes and files of odd kinds in a workspace (see makers.py)."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path

from grader.handout import workspace as handout
from grader.lab import labfile


def link(workspace: Path, name: str, target: str) -> None:
    """A symbolic link, in the place of what is there."""
    path = workspace / name
    _away(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def hard_link(workspace: Path, name: str, target: str) -> None:
    """A second name of a file of the host."""
    path = workspace / name
    _away(path)
    path.hardlink_to(target)


def fifo(workspace: Path, name: str) -> None:
    """A pipe: whoever opens it to read waits for ever."""
    path = workspace / name
    _away(path)
    os.mkfifo(path)


def unix_socket(workspace: Path, name: str) -> None:
    path = workspace / name
    _away(path)
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path may have only some 100 characters
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def device(workspace: Path, name: str, major: str, minor: str) -> None:
    path = workspace / name
    _away(path)
    os.mknod(path, 0o20666, os.makedev(int(major), int(minor)))


def hole(workspace: Path, name: str, size: str) -> None:
    """A file of so many bytes that takes no room on the disk."""
    path = workspace / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(int(size))


def many_files(workspace: Path, folder: str, count: str) -> None:
    (workspace / folder).mkdir(parents=True, exist_ok=True)
    for number in range(int(count)):
        (workspace / folder / f"{number}").touch()


def repeated(workspace: Path, name: str, count: str, first: str, *words: str) -> None:
    """A file of the words (with \\n, \\t as in Python), so many times."""
    path = workspace / name
    path.parent.mkdir(parents=True, exist_ok=True)
    piece = " ".join((first, *words)).encode().decode("unicode_escape")
    path.write_text(piece * int(count), encoding="utf-8", newline="")


def prefixed(workspace: Path, name: str, *words: str) -> None:
    """Text (as in Python) before what is in a file."""
    path = workspace / name
    piece = " ".join(words).encode().decode("unicode_escape")
    path.write_text(piece + path.read_text(encoding="utf-8"), encoding="utf-8", newline="")


def suffixed(workspace: Path, name: str, *words: str) -> None:
    """Text (as in Python) behind what is in a file."""
    path = workspace / name
    piece = " ".join(words).encode().decode("unicode_escape")
    path.write_text(path.read_text(encoding="utf-8") + piece, encoding="utf-8", newline="")


def joined(workspace: Path, name: str, other: str) -> None:
    """What is in another file, behind what is in a file; the other goes."""
    path = workspace / name
    text = path.read_text(encoding="utf-8") + (workspace / other).read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8", newline="")
    (workspace / other).unlink()


def numbered(workspace: Path, name: str, count: str, *words: str) -> None:
    """Lines behind what is in a file, with a number in each place of %d."""
    piece = " ".join(words).encode().decode("unicode_escape")
    lines = "".join(piece.replace("%d", str(number)) for number in range(1, int(count) + 1))
    path = workspace / name
    path.write_text(path.read_text(encoding="utf-8") + lines, encoding="utf-8", newline="")


def doubling(workspace: Path, name: str, count: str) -> None:
    """Lines `ARG Z1=$Z0$Z0`: each value is twice the one before."""
    lines = "".join(f"ARG Z{n}=$Z{n - 1}$Z{n - 1}\n" for n in range(1, int(count) + 1))
    path = workspace / name
    path.write_text(path.read_text(encoding="utf-8") + lines, encoding="utf-8", newline="")


def encoded(workspace: Path, name: str, encoding: str) -> None:
    """A file in another encoding than UTF-8."""
    path = workspace / name
    path.write_bytes(path.read_text(encoding="utf-8").encode(encoding))


def raw(workspace: Path, name: str, *words: str) -> None:
    """A file of bytes, as in Python's bytes."""
    path = workspace / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(" ".join(words).encode("latin-1").decode("unicode_escape").encode("latin-1"))


def state(workspace: Path, key: str, path: str, known: Mapping[str, str]) -> None:
    """`.drydock.json` that says the kit wrote (or would write) a file at `path`.

    Its hash is that of the victim beside, so that it seems untouched.
    """
    victim = hashlib.sha256(Path(known["victim"]).read_bytes()).hexdigest()
    _state(workspace, known, {key: {path: victim}})


def state_linked(workspace: Path, folder: str, known: Mapping[str, str]) -> None:
    """A workspace whose folder of starters is a link to a folder of the host."""
    shutil.rmtree(workspace / folder, ignore_errors=True)
    (workspace / folder).symlink_to(known["beside"])
    _state(workspace, known, {})


def state_deep(workspace: Path, known: Mapping[str, str]) -> None:
    """`.drydock.json` of brackets, deeper than a reader's stack."""
    (workspace / ".drydock.json").write_text("[" * 200_000, encoding="utf-8")


def _state(workspace: Path, known: Mapping[str, str], said: dict[str, object]) -> None:
    lab = labfile.load(known["lab"])
    # The true sum, which each student has in a workspace of their own: else nothing of it counts.
    inputs = handout._fingerprint(lab, known["id"])
    full = {"lab": lab.id, "student": known["id"], "inputs": inputs, "rendered": {}, "written": {}}
    text = json.dumps({**full, **said})
    (workspace / ".drydock.json").write_text(text, encoding="utf-8")


def _away(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif path.exists() or path.is_symlink():
        path.unlink()
