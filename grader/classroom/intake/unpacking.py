"""Unpacks one submission until the exercises' folders are found.

Archives inside are opened as long as no exercise's folder has been found: an archive in a folder,
one archive per exercise, an archive in an archive; at most three levels deep. Once an exercise's
folder has been found, an archive beside it is an ordinary file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from grader.classroom.intake import labels, workspace
from grader.classroom.intake.raw_submission import RawSubmission
from grader.errors import KitError
from grader.files import private
from grader.lab.model import Lab
from grader.submission import files, manifest
from grader.submission.archives import members, names, readers, unpack
from grader.submission.archives.names import NotUnpacked
from grader.submission.ignored import is_junk
from grader.submission.manifest import Manifest

DEPTH = 3
MOST_ARCHIVES = 12


@dataclass
class Laid:
    """An unpacked workspace. `root` is one of our own folders; `newest` is the latest time in
    it."""

    root: Path
    manifest: Manifest | None = None
    newest: datetime | None = None
    remarks: list[str] = field(default_factory=list)


def lay(handed: RawSubmission, lab: Lab, scratch: Path) -> Laid:
    """Unpack or copy a submission below the new folder `scratch`. Raises NotUnpacked if it is
    refused."""
    if handed.refused:
        raise NotUnpacked(handed.refused)
    private.folder(scratch)
    layer = _Layer(lab, scratch)
    try:
        root = layer.open(_heap(handed, scratch / "heap", layer), 0)
    except OSError as error:
        if error.errno is None or not getattr(error, "filename", None) or _ours(error, scratch):
            raise
        raise NotUnpacked(
            f"It cannot be read: {error.strerror}.",
            where=handed.source,
            remedy="Fix the file's permissions and run the same command again.",
        ) from None
    if not any((root / name).is_dir() for name in layer.wanted):
        layer.remarks.append(f"It has no exercise folder ({', '.join(layer.wanted)} expected).")
    found = manifest.read(root)
    remarks = [*handed.remarks, *layer.remarks]
    if found is not None and found.lab != lab.id:
        remarks.append(f"It was made for {names.shown(found.lab)}, not for {lab.id}.")
    if found is not None and (changed := found.changed(root)):
        first = ", ".join(names.shown(name) for name in changed[:3])
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        remarks.append(f"Changed after nox -s submit had packed it: {first}{more}.")
    _refuse_what_grading_would(root, lab)
    return Laid(root, found, layer.newest, remarks)


def _ours(error: OSError, scratch: Path) -> bool:
    """Whether a disk fault is in our own folder: then no submission has caused it."""
    return str(error.filename).startswith(str(scratch))


def _heap(handed: RawSubmission, dest: Path, layer: _Layer) -> Path:
    """One of our own folders with the submitted files: copied, archives unchanged."""
    if len(handed.paths) == 1 and handed.paths[0].is_dir():
        layer.note(unpack.copy(handed.paths[0], dest))
        return dest
    if len(handed.paths) == 1 and readers.is_archive(handed.paths[0]):
        layer.archives += 1
        layer.note(unpack.unpack(handed.paths[0], dest))
        return dest
    private.folder(dest)
    writer = unpack.SafeWriter(dest)
    for path in handed.paths:
        label = labels.read(path.name)
        if path.is_dir() and not path.is_symlink():
            # Moodle's folder is Moodle's: what lies in it is the student's.
            inside = members.of_folder(path, is_junk)
        else:
            name = label.file if label and label.file else path.name
            inside = iter([members.of_file(path, name)])
        for member in inside:
            writer.take(member)
    layer.note(writer)
    return dest


class _Layer:
    """What was found while archives were opened one after the other."""

    def __init__(self, lab: Lab, scratch: Path) -> None:
        self.wanted = workspace.folders(lab)
        self.scratch = scratch
        self.remarks: list[str] = []
        self.newest: datetime | None = None
        self.archives = 0
        self.opened = (0, 0)

    def note(self, writer: unpack.SafeWriter) -> None:
        self.remarks += writer.left_out[:5]
        if len(writer.left_out) > 5:
            self.remarks.append(f"{len(writer.left_out) - 5} more like these were left out.")
        if writer.newest and (self.newest is None or writer.newest > self.newest):
            self.newest = writer.newest

    def open(self, folder: Path, depth: int) -> Path:
        """Find the workspace in one of our own folders, opening archives until there is one."""
        root, remarks = workspace.find(folder, self.wanted)
        if root is not None:
            self.remarks += remarks + workspace.settle_case(root, self.wanted)
            return root
        place, packed = _archives(folder)
        if not packed:
            return folder
        if depth >= DEPTH:
            raise NotUnpacked(
                f"It has archives in archives, more than {DEPTH} levels deep.",
                where=names.shown(packed[0].name),
                remedy="Hand in one archive with the exercises' folders in it.",
            )
        return self._open_all(place, self._without_older(packed), depth)

    def _without_older(self, packed: list[Path]) -> list[Path]:
        """Of lab4.zip, lab4-1.zip, lab4-2.zip keep only the last: Canvas numbers repeated
        submissions."""
        newest: dict[str, tuple[int, Path]] = {}
        for path in packed:
            base, number = labels.copy_of(path.name)
            known = newest.get(base)
            if known is None:
                newest[base] = (number, path)
                continue
            older, taken = sorted([known, (number, path)], key=lambda pair: pair[0])
            newest[base] = taken
            older[1].unlink()
            self._set_aside(older[1].name, taken[1].name)
        return [path for _, path in newest.values()]

    def _open_all(self, place: Path, packed: list[Path], depth: int) -> Path:
        """Open archives that are side by side and combine their contents."""
        opened: list[tuple[datetime, str, Path]] = []
        for path in packed:
            self.archives += 1
            if self.archives > MOST_ARCHIVES:
                raise NotUnpacked(
                    f"There are more than {MOST_ARCHIVES} archives in it.",
                    remedy="Hand in one archive with the exercises' folders in it.",
                )
            dest = self.scratch / f"open-{self.archives}"
            writer = unpack.unpack(path, dest, others=self.opened)
            self.opened = (self.opened[0] + writer.bytes, self.opened[1] + writer.files)
            self.note(writer)
            opened.append((writer.newest or datetime.min, path.name, self.open(dest, depth + 1)))
            path.unlink()
        opened.sort(key=lambda one: one[:2], reverse=True)
        root = opened[0][2]
        for _, name, other in opened[1:]:
            self._merge(other, root, f"{name}: ", opened[0][1])
        if place != root:
            self._merge(place, root, "", "")
        return root

    def _merge(self, source: Path, root: Path, prefix: str, newer: str) -> None:
        for path in sorted(source.iterdir()):
            if not (root / path.name).exists():
                path.rename(root / path.name)
            elif path.name in self.wanted:
                self._set_aside(f"{prefix}{path.name}", newer)

    def _set_aside(self, older: str, newer: str) -> None:
        self.remarks.append(f"{names.shown(older)} was set aside: {names.shown(newer)} is newer.")


def _archives(folder: Path) -> tuple[Path, list[Path]]:
    """The archives at the top of a folder, below folders that contain only one folder."""
    place = folder
    while True:
        children = sorted(place.iterdir())
        if len(children) == 1 and children[0].is_dir():
            place = children[0]
            continue
        return place, [p for p in children if readers.is_archive(p)]


def _refuse_what_grading_would(root: Path, lab: Lab) -> None:
    for exercise in lab.exercises:
        try:
            files.read(root, exercise.folders)
        except KitError as error:
            place = Path(error.where).name if error.where else exercise.id
            raise NotUnpacked(error.what, where=place, remedy=error.remedy) from None
