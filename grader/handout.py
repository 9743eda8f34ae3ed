"""The handout: templates and a student's values become a workspace, never over a student's edits.

`.drydock.json` in the workspace remembers a hash of what was rendered. A file that differs
from it is the student's: it is kept. So is a deletion, since a file may have been renamed
(compose.yaml to docker-compose.yml, which compose would not read with both there); only
what lies directly in the workspace, and folders that are gone as a whole, come back.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from grader import __version__, paths, pictures
from grader.errors import KitError
from grader.lab import Lab
from grader.machines import nodes_file
from grader.rendering import DRAWING, cannot_write, digest, files_of, render, sha256, write_file
from grader.rendering import render_tree as render_tree
from grader.variant import variant

STATE = ".drydock.json"
VALUES = "variant.yaml"
WORKSHEET = "worksheet"


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

    @property
    def written(self) -> list[str]:
        return sorted(self.added + self.updated)

    def summary(self, full: bool = False) -> list[str]:
        """Lines to show; nothing if nothing happened, except where `full` is asked for."""
        lines = []
        if self.added and not (self.updated or self.kept or self.gone):
            lines.append(f"Your workspace is {self.workspace}: start with README.md there.")
        elif self.added:
            lines.append(f"Added: {', '.join(self.added)}.")
        if self.updated:
            lines.append(f"Brought up to date: {', '.join(self.updated)}.")
        if self.removed:
            lines.append(f"No longer part of the lab, removed: {', '.join(self.removed)}.")
        if self.kept and (full or self.renewed):
            lines.append(f"You changed these, so they stay as they are: {', '.join(self.kept)}.")
        if self.gone and (full or self.renewed):
            lines.append(f"You deleted these, so they stay away: {', '.join(self.gone)}.")
        if (self.kept or self.gone) and full:
            lines.append("--restore FILE gives you the original of one again.")
        if full and not lines:
            lines.append(f"Nothing to do: {self.workspace} is as it should be.")
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
    state = _read_state(out)
    _check_owner(out, state, lab, student)
    inputs = _fingerprint(lab, student)
    files: dict[str, bytes] | None = None
    if state.get("inputs") == inputs:
        rendered: dict[str, str] = state["rendered"]
    else:
        files = contents(lab, student)
        rendered = {name: sha256(content) for name, content in files.items()}
    written: dict[str, str] = state.get("written", {})
    result = HandoutResult(out, renewed=bool(written) and files is not None)
    to_write = []
    now: dict[str, str] = {}
    for name, new in rendered.items():
        old, found = written.get(name), digest(out / name)
        if found == new:
            now[name] = new
        elif found is None and (old is None or _comes_back(out / name, out)):
            result.added.append(name)
            to_write.append(name)
        elif found is not None and found == old:
            result.updated.append(name)
            to_write.append(name)
        else:
            (result.gone if found is None else result.kept).append(name)
            now[name] = old or ""
    for name in sorted(written.keys() - rendered.keys()):
        if digest(out / name) == written[name]:
            _set_aside(out / name, None)
            result.removed.append(name)
    for name in dict.fromkeys(_inside(out, name) for name in restore):
        if name not in rendered:
            raise KitError(
                f"The lab has no file {name!r}.", remedy=f"It has: {', '.join(rendered)}."
            )
        if name in result.kept:
            _set_aside(out / name, _free_name(out / name))
            result.kept.remove(name)
            result.updated.append(name)
            to_write.append(name)
        elif name in result.gone:
            result.gone.remove(name)
            result.added.append(name)
            to_write.append(name)
    if to_write:
        files = files or contents(lab, student)
        # A state that somebody wrote into may name files that there are not.
        for name in (n for n in to_write if n in files):
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
    if new_state != state:
        write_file(out, STATE, _json(new_state))
    return result


def values(lab: Lab, student: str) -> dict[str, Any]:
    """What templates know: the student's values, `student`, `lab`, and `nodes`.

    `nodes` has the addresses of the class's machines by name; it is empty in a kit without them.
    """
    nodes = nodes_file.addresses() if nodes_file.FILE.is_file() else {}
    return {**variant(lab, student), "student": student, "lab": lab, "nodes": nodes}


def contents(lab: Lab, student: str) -> dict[str, bytes]:
    """All files of a student's workspace as the lab hands them out: `{path with /: content}`."""
    files = render(lab.templates, values(lab, student))
    pictures.check(files, where=lab.templates)
    sheet = files.pop(f"{WORKSHEET}.md", None)
    if sheet is not None:
        from grader import worksheet

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
    _check_owner(out, _read_state(out), lab, student)


def _read_state(out: Path) -> dict[str, Any]:
    """What the last run noted, {} if there is nothing that can be used."""
    try:
        state = json.loads((out / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    needed = {"lab": str, "student": str, "inputs": str, "rendered": dict, "written": dict}
    whole = isinstance(state, dict) and all(isinstance(state.get(k), t) for k, t in needed.items())
    return state if whole else {}


def _check_owner(out: Path, state: dict[str, Any], lab: Lab, student: str) -> None:
    owner: Any = state
    if not state:
        try:
            owner = yaml.safe_load((out / VALUES).read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            return
    if not isinstance(owner, dict):
        return
    if owner.get("student", student) != student:
        raise KitError(
            f"This folder belongs to the student {owner['student']}, not to {student}.",
            where=str(out),
            remedy=f"Say --student {owner['student']}, or choose another folder.",
        )
    if owner.get("lab", lab.id) != lab.id:
        raise KitError(
            f"This folder belongs to {owner['lab']}, not to {lab.id}.",
            where=str(out),
            remedy="Choose another folder.",
        )


def _fingerprint(lab: Lab, student: str) -> str:
    """SHA-256 over all that a workspace is made from: lab, templates, student and this code."""
    code = Path(__file__).parent
    sources = [
        code / f"{name}.py"
        for name in ("handout", "lab", "labfile", "pictures", "rendering", "variant", "worksheet")
    ]
    sources += [*files_of(DRAWING), nodes_file.FILE]
    known = hashlib.sha256(f"{__version__}\0{student}\0".encode())
    for path in [lab.folder / "lab.yaml", *files_of(lab.templates), *sources]:
        known.update(f"{path.name}\0{digest(path)}\0".encode())
    return known.hexdigest()


def _comes_back(path: Path, out: Path) -> bool:
    return path.parent == out or not path.parent.exists()


def _inside(out: Path, name: str) -> str:
    """`name` relative to the workspace, with /, however it was written."""
    path = Path(os.path.normpath(Path.cwd() / name))
    inside = Path(os.path.normpath(Path.cwd() / out))
    if path.is_relative_to(inside):
        return path.relative_to(inside).as_posix()
    return Path(os.path.normpath(name)).as_posix()


def _free_name(path: Path) -> Path:
    number, free = 1, path.with_name(f"{path.name}.bak")
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}.bak{number}")
    return free


def _set_aside(path: Path, to: Path | None) -> None:
    """Rename a file, or delete it where there is no new name."""
    try:
        if to is None:
            path.unlink()
        else:
            path.rename(to)
    except OSError as error:
        raise cannot_write(path, error) from None


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
