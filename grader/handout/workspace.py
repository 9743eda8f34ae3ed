"""The handout: templates and a student's values become a workspace, never over a student's edits.

`.drydock.json` in the workspace remembers a hash of what was rendered. A file that differs
from it is the student's: it is kept. So is a deletion, since a file may have been renamed
(compose.yaml to docker-compose.yml, which compose would not read with both there); only
what lies directly in the workspace, and folders that are gone as a whole, come back.

A workspace may be a stranger's, and so may that note. Names in it count where this installation
has sealed it; of any other note only the hashes of what the lab renders now are looked at.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from grader import __version__, paths
from grader.errors import KitError
from grader.files import private, safe_folder
from grader.files.submitted_path import is_link, read_below
from grader.handout import pictures
from grader.handout.rendering import DRAWING, cannot_write, files_of, render, sha256, write_file
from grader.handout.rendering import render_tree as render_tree
from grader.lab import class_nodes
from grader.lab.labfile import names
from grader.lab.model import Lab
from grader.lab.variant import variant

STATE = ".drydock.json"
VALUES = "variant.yaml"
WORKSHEET = "worksheet"

MAX_STATE = 4_000_000
MAX_VALUES = 64_000
"""Bytes of the two files in a workspace that the kit believes something of."""

MOST_COPIES = 1_000
"""NAME.bak, NAME.bak2 and so on."""


@dataclass(frozen=True)
class HandoutResult:
    """What `write` did; paths are relative to the workspace, with /."""

    workspace: Path
    added: list[str] = field(default_factory=list)
    """New, or back again."""
    updated: list[str] = field(default_factory=list)
    """Untouched by the student and out of date."""
    kept: list[str] = field(default_factory=list)
    """Changed by the student."""
    gone: list[str] = field(default_factory=list)
    """Deleted by the student, and left so."""
    removed: list[str] = field(default_factory=list)
    """Untouched by the student and no longer part of the lab."""
    renewed: bool = False
    """The lab's templates or the kit changed since the last time."""
    note: str = ""
    """A sentence on a note of the last time that could not be used."""

    @property
    def written(self) -> list[str]:
        return sorted(self.added + self.updated)

    def summary(self, full: bool = False) -> list[str]:
        """Lines to show; nothing if nothing happened, except where `full` is asked for."""
        lines = [self.note] if self.note else []
        if self.added and not (self.updated or self.kept or self.gone):
            lines.append(f"Your workspace is {self.workspace}: start with README.md there.")
        elif self.added:
            lines.append(f"Added: {', '.join(self.added)}.")
        if self.updated:
            lines.append(f"Updated: {', '.join(self.updated)}.")
        if self.removed:
            lines.append(f"No longer part of the lab, removed: {', '.join(self.removed)}.")
        if self.kept and (full or self.renewed):
            lines.append(f"You changed these, so they are not updated: {', '.join(self.kept)}.")
        if self.gone and (full or self.renewed):
            lines.append(
                f"You deleted these, so they are not written again: {', '.join(self.gone)}."
            )
        if (self.kept or self.gone) and full:
            lines.append("To get an original back: --restore FILE")
        if full and not lines:
            lines.append(f"Nothing to do: {self.workspace} is up to date.")
        return lines


def default_folder(lab: Lab, student: str) -> Path:
    """Where a student's workspace lies unless they say otherwise."""
    return paths.workspaces() / lab.id / student


def write(lab: Lab, student: str, out: Path, *, restore: Sequence[str] = ()) -> HandoutResult:
    """Write or bring up to date the workspace of `student` in `out`.

    Nothing the student changed or deleted is touched, except the files named in `restore`:
    those get the lab's version, and the student's stays beside it as NAME.bak. Takes a few
    milliseconds if there is nothing to do. KitError if the folder is another student's, or
    cannot be written.
    """
    lab.check_student(student)
    state, note = _read_state(out)
    _check_owner(out, state, lab, student)
    sealed = _is_sealed(state)
    inputs = _fingerprint(lab, student)
    files: dict[str, bytes] | None = None
    if sealed and state["inputs"] == inputs:
        rendered: dict[str, str] = state["rendered"]
    else:
        files = contents(lab, student)
        rendered = {name: sha256(content) for name, content in files.items()}
    written: dict[str, str] = state.get("written", {})
    result = HandoutResult(out, renewed=bool(written) and files is not None, note=note)
    to_write = []
    now: dict[str, str] = {}
    for name, new in rendered.items():
        old, found = written.get(name), _digest(out, name)
        if found == new:
            now[name] = new
        elif found is None and (old is None or _comes_back(out, name)):
            result.added.append(name)
            to_write.append(name)
        elif found is not None and found == old and found != safe_folder.OTHER:
            result.updated.append(name)
            to_write.append(name)
        else:
            (result.gone if found is None else result.kept).append(name)
            now[name] = old or ""
    # A stranger's note may name anything: what it says is no longer the lab's is left alone.
    for name in sorted(written.keys() - rendered.keys()) if sealed else ():
        if _digest(out, name) == written[name]:
            _set_aside(out, name, None)
            result.removed.append(name)
    for name in dict.fromkeys(_inside(out, name) for name in restore):
        if name not in rendered:
            raise KitError(
                f"The lab has no file {name!r}.", remedy=f"It has: {', '.join(rendered)}."
            )
        if name in result.kept:
            _set_aside(out, name, _free_name(out, name))
            result.kept.remove(name)
            result.updated.append(name)
            to_write.append(name)
        elif name in result.gone:
            result.gone.remove(name)
            result.added.append(name)
            to_write.append(name)
    if to_write:
        files = files or contents(lab, student)
        for name in to_write:
            write_file(out, name, files[name])
            now[name] = sha256(files[name])
    new_state = {
        "about": "What the kit wrote here, so that it never overwrites what you changed.",
        "kit": __version__,
        "lab": lab.id,
        "student": student,
        "inputs": inputs,
        "rendered": rendered,
        "written": dict(sorted(now.items())),
    }
    new_state["seal"] = _seal(new_state)
    if new_state != state:
        write_file(out, STATE, _json(new_state))
    return result


def values(lab: Lab, student: str) -> dict[str, Any]:
    """What templates know: the student's values, `student`, `lab`, and `nodes`.

    `nodes` has the addresses of the class's machines by name; it is empty in a kit without them.
    """
    nodes = class_nodes.addresses() if class_nodes.FILE.is_file() else {}
    return {**variant(lab, student), "student": student, "lab": lab, "nodes": nodes}


def contents(lab: Lab, student: str) -> dict[str, bytes]:
    """All files of a student's workspace as the lab hands them out: `{path with /: content}`."""
    files = render(lab.templates, values(lab, student))
    pictures.check(files, where=lab.templates)
    sheet = files.pop(f"{WORKSHEET}.md", None)
    if sheet is not None:
        from grader.handout import worksheet

        files[f"{WORKSHEET}.ipynb"] = worksheet.notebook(sheet.decode("utf-8"))
    text = yaml.safe_dump(
        {"lab": lab.id, "student": student, **variant(lab, student)},
        sort_keys=False,
        allow_unicode=True,
    )
    files[VALUES] = f"# Your values. Changing them here changes nothing else.\n{text}".encode()
    return dict(sorted(files.items()))


def check_owner(lab: Lab, student: str, out: Path) -> None:
    """KitError if a workspace is another student's or another lab's."""
    _check_owner(out, _read_state(out)[0], lab, student)


def _read_state(out: Path) -> tuple[dict[str, Any], str]:
    """What the last run noted, and a sentence where there is something that cannot be used.

    {} if there is no such note, or none that can be used. KitError where the workspace or the
    note is a link or the like: only a person knows what that is for.
    """
    if _is_link(out):
        raise KitError(
            "This workspace is a link.",
            where=str(out),
            remedy=f"Name the folder itself: {os.path.realpath(out)}",
        )
    try:
        if not safe_folder.exists(out, STATE):
            return {}, ""
        raw = read_below(out, PurePosixPath(STATE), MAX_STATE)
    except OSError:
        raw = None
    if raw is None or len(raw) > MAX_STATE:
        raise KitError(
            f"{STATE} is not from the kit: it cannot be read as a file, or is much too large.",
            where=str(out),
            remedy="Move it away and run the same command again: the kit writes a new one, and "
            "you lose nothing that you changed.",
        )
    try:
        state = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        state = None
    if not _is_whole(state):
        return {}, (
            f"{STATE} could not be read and is written again. Files that differ from the lab's "
            f"are not changed."
        )
    # Without what the kit does not write: that could be nested deeper than anybody can say again.
    return {key: state[key] for key in _NOTED if isinstance(state.get(key), _NOTED[key])}, ""


_NOTED = {
    **{"about": str, "kit": str, "lab": str, "student": str, "inputs": str},
    **{"rendered": dict, "written": dict, "seal": str},
}


def _is_whole(state: Any) -> bool:
    """Whether a note has all that is needed, each of its kind."""
    return isinstance(state, dict) and all(
        isinstance(state.get(key), kind)
        and (kind is str or all(isinstance(value, str) for value in state[key].values()))
        for key, kind in _NOTED.items()
        if key not in ("about", "kit", "seal")
    )


def _is_link(folder: Path) -> bool:
    try:
        return is_link(folder.lstat())
    except OSError:
        return False


def _is_sealed(state: dict[str, Any]) -> bool:
    seal = state.get("seal")
    if not isinstance(seal, str) or not seal:
        return False
    return hmac.compare_digest(seal.encode("utf-8", "replace"), _seal(state).encode())


def _seal(state: dict[str, Any]) -> str:
    """What only this installation can say of a note; empty where it has no place for a secret."""
    secret = _secret()
    if secret is None:
        return ""
    text = json.dumps({key: state[key] for key in state if key != "seal"}, sort_keys=True)
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()


def _secret() -> bytes | None:
    """This installation's secret, made when it is first asked for."""
    file = paths.data_dir() / "handout.key"
    with contextlib.suppress(OSError):
        if not file.exists():
            private.write(file, secrets.token_hex(32).encode("ascii"))
        found = file.read_bytes()
        return found if len(found) == 64 else None
    return None


def _check_owner(out: Path, state: dict[str, Any], lab: Lab, student: str) -> None:
    owner = state or _values_in(out)
    # Shown with repr: whoever made the folder wrote it.
    whose, which = owner.get("student", student), owner.get("lab", lab.id)
    if whose != student:
        known = lab.is_student(whose)
        raise KitError(
            f"This folder belongs to the student {whose if known else repr(whose)[:80]},"
            f" not to {student}.",
            where=str(out),
            remedy=f"Use --student {whose}, or choose another folder."
            if known
            else "Choose another folder.",
        )
    if which != lab.id:
        raise KitError(
            f"This folder belongs to {which if which in names() else repr(which)[:80]},"
            f" not to {lab.id}.",
            where=str(out),
            remedy="Choose another folder.",
        )


def _values_in(out: Path) -> dict[str, str]:
    """Whose values variant.yaml says it has: `lab` and `student`, as far as they are there."""
    try:
        text = read_below(out, PurePosixPath(VALUES), MAX_VALUES)[:MAX_VALUES].decode("utf-8")
    except (OSError, ValueError):
        return {}
    # By the form that `contents` gives it: no parser has to read a stranger's YAML for this.
    lines = (line.partition(": ") for line in text.splitlines())
    return {key: value.strip("'\"") for key, _, value in lines if key in ("lab", "student")}


def _fingerprint(lab: Lab, student: str) -> str:
    """SHA-256 over all that a workspace is made from: lab, templates, student and this code."""
    code = (
        path for wing in ("handout", "lab") for path in (paths.KIT / "grader" / wing).glob("*.py")
    )
    sources = [*sorted(code), *files_of(DRAWING), class_nodes.FILE]
    known = hashlib.sha256(f"{__version__}\0{student}\0".encode())
    for path in [lab.folder / "lab.yaml", *files_of(lab.templates), *sources]:
        content = sha256(path.read_bytes()) if path.is_file() else None
        known.update(f"{path.name}\0{content}\0".encode())
    return known.hexdigest()


def _digest(out: Path, name: str) -> str | None:
    """SHA-256 of a file in the workspace, None if there is none; KitError if it is no file."""
    try:
        return safe_folder.digest(out, name)
    except OSError as error:
        raise KitError(
            f"{name} cannot be read as a file: {error.strerror or error}.",
            where=str(error.filename or out),
            remedy="Rename it or fix its permissions, then try again: the lab needs a file of "
            "this name.",
        ) from None


def _comes_back(out: Path, name: str) -> bool:
    folder = name.rpartition("/")[0]
    return not folder or not safe_folder.exists(out, folder)


def _inside(out: Path, name: str) -> str:
    """`name` relative to the workspace, with /, however it was written."""
    path = Path(os.path.normpath(Path.cwd() / name))
    inside = Path(os.path.normpath(Path.cwd() / out))
    if path.is_relative_to(inside):
        return path.relative_to(inside).as_posix()
    return Path(os.path.normpath(name)).as_posix()


def _free_name(out: Path, name: str) -> str:
    for number in range(1, MOST_COPIES):
        free = f"{name}.bak{number if number > 1 else ''}"
        if not safe_folder.exists(out, free):
            return free
    raise KitError(
        f"There are {MOST_COPIES - 1} copies of {name} already.",
        where=str(out),
        remedy=f"Move {name}.bak and the numbered copies away.",
    )


def _set_aside(out: Path, name: str, to: str | None) -> None:
    """Rename a file, or delete it where there is no new name."""
    try:
        if to is None:
            safe_folder.remove(out, name)
        else:
            safe_folder.rename(out, name, to)
    except OSError as error:
        raise cannot_write(out, name, error) from None


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
