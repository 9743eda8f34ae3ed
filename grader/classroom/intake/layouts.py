"""Splits SUBMISSIONS, in all layouts that tutors have, into one part per student.

Each file or folder is recognised by itself, by names and contents, so mixed collections work:

- Moodle's download: folders `Name_17_assignsubmission_file_`, or flat files with such names
- Canvas's download: flat files `lovelaceada_LATE_12345_67890_file.zip`
- a folder per student, also as Git clones; an archive per student; a single student's submission

SUBMISSIONS is a folder, or an archive of one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from grader.classroom.intake import git, labels, workspace
from grader.classroom.intake.labels import Label
from grader.classroom.intake.raw_submission import RawSubmission
from grader.classroom.results import Unmatched
from grader.errors import KitError
from grader.files import private
from grader.lab.model import Lab
from grader.submission import manifest
from grader.submission.archives import names, readers
from grader.submission.archives import unpack as archive
from grader.submission.ignored import is_junk

CLASS = archive.Limits(
    entries=1_000_000,
    read_bytes=200_000_000_000,
    listing_bytes=512_000_000,
)
"""Limits for a whole class's archive; each student's part has the limits of a submission."""

DEPTH = 4


def check(source: Path) -> None:
    """Raise KitError if `source` cannot be SUBMISSIONS, whatever it contains."""
    if not source.exists():
        raise KitError(
            "This path does not exist.",
            where=str(source),
            remedy="Name the folder or the archive with the submissions.",
        )
    if not source.is_dir() and not readers.is_archive(source):
        raise KitError(
            "This is neither a folder nor an archive.",
            where=str(source),
            remedy="Name the folder, the .zip or the .tar.gz with the submissions.",
        )


def find(
    source: Path, lab: Lab, scratch: Path, leave: Sequence[Path] = ()
) -> tuple[list[RawSubmission], list[Unmatched]]:
    """Find all submissions, and the files that belong to no one. The files in `leave` are ignored.

    A class's archive is unpacked into the folder `scratch`. Raises KitError if nothing in it can be
    a submission, or if the archive cannot be read.
    """
    search = _Search(lab, source.name, {p.resolve() for p in leave})
    if source.is_dir():
        search.folder(source, source.name)
    else:
        search.archive(source, scratch)
    found = [*search.found, *search.grouped()]
    if not found and not search.unmatched:
        raise KitError(
            "There are no submissions in it.",
            where=str(source),
            remedy="A class is a folder or archive with one folder or archive for each student,"
            " or what Moodle or Canvas let you download.",
        )
    return found, search.unmatched


class _Search:
    def __init__(self, lab: Lab, source: str, leave: set[Path]) -> None:
        self.lab, self.source, self.leave = lab, source, leave
        self.wanted = workspace.folders(lab)
        self.id = re.compile(
            rf"(?<![A-Za-z0-9])(?:{lab.student_pattern})(?![A-Za-z0-9])", re.ASCII | re.IGNORECASE
        )
        self.found: list[RawSubmission] = []
        self.unmatched: list[Unmatched] = []
        self.by_lms: dict[tuple[str, str], list[tuple[Label, Path, str]]] = {}
        self.refused: dict[Path, str] = {}
        self.remarks: dict[Path, list[str]] = {}

    def archive(self, path: Path, scratch: Path) -> None:
        """A class's archive, or one student's."""
        tops, below = _tops(path)
        own = {*self.wanted, manifest.NAME}
        alone = len(tops) == 1 and bool(below) and not self._is_personal(tops[0])
        of_one = self.id.search(path.name) and not any(map(self._is_personal, {*tops, *below}))
        if own & set(tops) or (alone and own & below) or of_one:
            self.found.append(RawSubmission("archive", path.name, path.name, (path,)))
            return
        strip = 1 if alone else 0
        private.folder(scratch)
        for name, writer in archive.spread(path, scratch, strip, CLASS).items():
            place = scratch / name
            if isinstance(writer, str):
                self.refused[place] = writer
            elif writer.left_out:
                self.remarks[place] = writer.left_out
        for place in sorted({*scratch.iterdir(), *self.refused}):
            self._one(place, f"{self.source}: {names.shown(place.name)}", 1)

    def folder(self, folder: Path, source: str, depth: int = 0) -> None:
        """A folder of several submissions, or one student's workspace."""
        children = _children(folder)
        if self._is_workspace(folder, children) and not any(
            self._is_personal(child.name) for child in children
        ):
            self.found.append(self._single(folder, source))
            return
        if len(children) == 1 and _is_folder(children[0]) and depth < DEPTH:
            child = children[0]
            if not self._is_personal(child.name) and not (child / ".git").exists():
                self.folder(child, f"{source}/{names.shown(child.name)}", depth + 1)
                return
        for child in children:
            self._one(child, f"{source}/{names.shown(child.name)}", depth + 1)

    def _one(self, path: Path, source: str, depth: int) -> None:
        try:
            self._look_at(path, source, depth)
        except OSError as error:
            why = f"It cannot be read: {error.strerror}. Fix its permissions and run this again."
            self.found.append(RawSubmission("folder", source, path.name, (path,), refused=why))

    def _look_at(self, path: Path, source: str, depth: int) -> None:
        if is_junk(path.name):
            return
        # A link is not resolved: it may lead in a circle. What was refused is not there.
        resolvable = path not in self.refused and not path.is_symlink()
        if resolvable and path.resolve() in self.leave:
            return
        label = labels.read(path.name)
        refused = self.refused.get(path)
        if refused is None and path.is_symlink():
            self.unmatched.append(Unmatched(source, "It is a link. Put the files themselves here."))
        elif label is not None:
            self.by_lms.setdefault((label.kind, label.number), []).append((label, path, source))
        elif refused is not None:
            self.found.append(RawSubmission("folder", source, path.name, (path,), refused=refused))
        elif not (path.is_dir() or path.is_file()):
            self.unmatched.append(Unmatched(source, "It is not an ordinary file. It was left out."))
        elif path.is_file():
            self._file(path, source)
        elif depth < DEPTH and self._is_collection(path):
            for child in _children(path):
                self._one(child, f"{source}/{names.shown(child.name)}", depth + 1)
        else:
            self.found.append(self._single(path, source))

    def _file(self, path: Path, source: str) -> None:
        if readers.is_archive(path):
            self.found.append(RawSubmission("archive", source, path.name, (path,)))
        else:
            self.unmatched.append(
                Unmatched(
                    source,
                    "It is a single file: neither a folder nor an archive. If someone handed it"
                    f" in, put it into a folder named like {self.lab.example_student}.",
                )
            )

    def _single(self, folder: Path, source: str) -> RawSubmission:
        remarks = tuple(self.remarks.get(folder, ()))
        if (folder / ".git").is_dir():
            when = git.last_commit(folder)
            told = () if when is None else ("The time is that of the last commit.",)
            return RawSubmission(
                "git", source, folder.name, (folder,), submitted=when, remarks=remarks + told
            )
        return RawSubmission("folder", source, folder.name, (folder,), remarks=remarks)

    def grouped(self) -> Iterator[RawSubmission]:
        """Combine the files that belong to one person according to the LMS's names."""
        for (kind, number), things in sorted(self.by_lms.items()):
            files = [thing for thing in things if not thing[0].text]
            label, _, source = (files or things)[0]
            refused = [self.refused[p] for _, p, _ in files if p in self.refused]
            remarks = [r for _, p, _ in files for r in self.remarks.get(p, ())]
            if any(one.text for one, *_ in things) and files:
                remarks.append(
                    "There is also a text that was typed into the LMS; it is not graded."
                )
            if any(one.late for one, *_ in things):
                remarks.append("Canvas says that this was late, but not by how much.")
            if not files:
                refused.append(
                    "There is only a text that was typed into the LMS, no file."
                    " Ask for the archive of nox -s submit."
                )
            more = f" and {len(files) - 1} more" if len(files) > 1 else ""
            yield RawSubmission(
                "moodle" if kind == "moodle" else "canvas",
                f"{source}{more}",
                " ".join([label.name, *(one.file for one, *_ in files)]),
                tuple(p for _, p, _ in files),
                label.name,
                ((kind, number),),
                remarks=tuple(remarks),
                refused=" ".join(refused) or None,
            )

    def _is_workspace(self, folder: Path, children: Sequence[Path]) -> bool:
        there = {child.name for child in children}
        return (
            bool(there & set(self.wanted))
            or (folder / ".git").exists()
            or (manifest.read(folder) is not None)
        )

    def _is_personal(self, name: str) -> bool:
        """Whether a name alone shows that this belongs to one person."""
        return labels.read(name) is not None or self.id.search(name) is not None

    def _is_collection(self, folder: Path) -> bool:
        """Whether a folder without a person's name contains the submissions of several people."""
        if self._is_personal(folder.name) or (folder / ".git").exists():
            return False
        children = _children(folder)
        if self._is_workspace(folder, children):
            return False
        return any(
            self._is_personal(c.name) or (_is_folder(c) and (c / ".git").exists()) for c in children
        )


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _children(folder: Path) -> list[Path]:
    """The contents of a folder, without junk and hidden files."""
    return sorted(
        (p for p in folder.iterdir() if not is_junk(p.name) and not p.name.startswith(".")),
        key=lambda p: p.name,
    )


def _tops(path: Path) -> tuple[list[str], set[str]]:
    """The names at the top of an archive, and those one level below."""
    tops: dict[str, None] = {}
    below: set[str] = set()
    for count, member in enumerate(
        readers.members(path, max_listing=CLASS.listing_bytes, max_bytes=CLASS.read_bytes)
    ):
        if count > CLASS.entries:
            break
        found = names.composed(names.parts(member.name))
        if not found or any(is_junk(name) for name in found[:2]):
            continue
        tops[found[0]] = None
        if len(found) > 1:
            below.add(found[1])
    return sorted(tops), below
