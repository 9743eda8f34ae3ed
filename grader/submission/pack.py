"""Packs a workspace into one archive that the grader accepts; same files, same bytes.

How it is written is grader.submission.reproducible_zip's.
"""

from __future__ import annotations

import filecmp
import hashlib
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from grader.errors import KitError
from grader.files import private
from grader.handout import workspace as handout
from grader.lab.model import Exercise, Lab
from grader.submission import files as submission
from grader.submission import manifest, reproducible_zip
from grader.submission.archives import members, unpack
from grader.submission.ignored import is_junk
from grader.submission.manifest import Manifest

OWN = (handout.STATE, manifest.NAME)
"""The kit's own notes: no work of the student's."""


@dataclass(frozen=True)
class HandIn:
    """The archive `file`, its size in bytes and what is in it.

    `exercises` is the number of files by exercise; `junk` are paths that were left out for their
    names, `left_out` sentences about links and the like; `warnings` are what vetting will say;
    `known` whether just this archive was there already.
    """

    file: Path
    size: int
    files: int
    exercises: dict[str, int]
    junk: tuple[str, ...]
    left_out: tuple[str, ...]
    warnings: tuple[str, ...]
    known: bool


def name(lab: Lab, student: str) -> str:
    return f"{lab.id}-{student}.zip"


def pack(lab: Lab, student: str, workspace: Path, folder: Path) -> HandIn:
    """Pack a student's workspace into `folder`.

    KitError, in the grader's words, if the grader would refuse it; if it is another student's;
    if it cannot be written. A warning is no refusal: an exercise that fails may be handed in.
    """
    if not workspace.is_dir():
        raise KitError(
            "There is nothing to hand in: this folder does not exist.",
            where=str(workspace),
            remedy=f"nox -s {lab.id} writes your workspace; --workspace names another folder.",
        )
    handout.check_owner(lab, student, workspace)
    found = {e.id: submission.read(workspace, e.folders) for e in lab.exercises}
    if not any(read.files for read in found.values()):
        raise KitError(
            "The exercises' folders have no files.",
            where=str(workspace),
            remedy=f"Put your files into {', '.join(f for e in lab.exercises for f in e.folders)}.",
        )
    file = folder / name(lab, student)
    _refuse_anothers(file, lab, student)
    try:
        private.folder(folder)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".submit-") as scratch:
            writer, junk = _snapshot(workspace, Path(scratch) / "files")
            files = _write(lab, student, writer.folder, packed := Path(scratch) / "archive.zip")
            _see_it_taken(packed, Path(scratch) / "again")
            # Of the snapshot, which has ordinary files only.
            warned = tuple(w for e in lab.exercises for w in warnings(e, writer.folder))
            known = file.is_file() and filecmp.cmp(file, packed, shallow=False)
            if not known:
                packed.chmod(private.FILE)
                packed.replace(file)
    except OSError as error:
        raise KitError(
            f"The archive cannot be written: {error.strerror or error}.",
            where=str(error.filename or folder),
            remedy="Fix that, or choose another folder with --out.",
        ) from None
    return HandIn(
        file=file,
        size=file.stat().st_size,
        files=files,
        exercises={exercise: len(read.files) for exercise, read in found.items()},
        junk=tuple(junk),
        left_out=tuple(writer.left_out),
        warnings=warned,
        known=known,
    )


def warnings(exercise: Exercise, workspace: Path) -> list[str]:
    """What vetting will refuse in the exercise's Compose and stack files, in its words."""
    from grader.vetting import compose, stack

    found = []
    for folder in exercise.folders:
        place = workspace / folder
        if not place.is_dir():
            continue
        try:
            if any((place / each).is_file() for each in compose.NAMES):
                compose.read(place, folder).refuse_images(exercise.images)
        except KitError as error:
            found.append(str(error))
        if exercise.nodes == 1:
            continue
        for path in sorted(p for p in place.iterdir() if p.suffix in (".yaml", ".yml")):
            try:
                if path.is_file() and "services:" in path.read_text("utf-8", errors="replace"):
                    stack.read(place, path.name, folder).refuse_images(exercise.images)
            except KitError as error:
                found.append(str(error))
    return found


def _snapshot(workspace: Path, dest: Path) -> tuple[unpack.SafeWriter, list[str]]:
    """The workspace's files as they are now, copied by the rules of unpacking; and the junk."""
    dest.mkdir()
    writer, junk = unpack.SafeWriter(dest), []
    for member in members.of_folder(workspace, is_junk):
        if is_junk(member.name.rpartition("/")[2]):
            junk.append(member.name)
        elif member.name not in OWN:
            writer.take(member)
    return writer, junk


def _write(lab: Lab, student: str, folder: Path, dest: Path) -> int:
    """Write the archive of a snapshot; the number of files in it."""
    files: dict[str, reproducible_zip.Packed] = {}
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            name = path.relative_to(folder).as_posix()
            files[name] = reproducible_zip.Packed(
                content, reproducible_zip.executable(path, content)
            )
    sums = {each: hashlib.sha256(file.content).hexdigest() for each, file in sorted(files.items())}
    told = Manifest(lab.id, student, sums).to_json()
    reproducible_zip.write(files, dest, (manifest.NAME, told.encode()))
    return len(files)


def _see_it_taken(packed: Path, dest: Path) -> None:
    """Unpack the archive as the grader will: what it would refuse is said now."""
    unpack.unpack(packed, dest)
    found = manifest.read(dest)
    if found is None or found.changed(dest):
        raise KitError(
            "The archive does not contain what was packed.",
            where=str(packed),
            remedy="Check the disk, then try again.",
        )


def _refuse_anothers(file: Path, lab: Lab, student: str) -> None:
    """An archive that is there already must be this student's before it is written over."""
    if not file.exists() and not file.is_symlink():
        return
    found = None
    if file.is_file() and not file.is_symlink():
        try:
            with zipfile.ZipFile(file) as packed:
                if packed.getinfo(manifest.NAME).file_size <= manifest.MAX_BYTES:
                    found = manifest.from_json(packed.read(manifest.NAME))
        except (OSError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile):
            found = None
    if found is None or (found.lab, found.student) != (lab.id, student):
        whose = f" but {found.student}'s for {found.lab}" if found else ""
        raise KitError(
            f"This file is not your archive{whose}, so it is not overwritten.",
            where=str(file),
            remedy="Move it away, or choose another folder with --out.",
        )
