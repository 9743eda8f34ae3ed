"""Classes as tutors have them, made from a folder per student: for tests of intake and grading.

Each function writes `folders` (by student ID) as one layout and returns what SUBMISSIONS would be.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from grader.classroom.results import Person

NAMES = (
    "Ada Lovelace",
    "Alan Turing",
    "Grace Hopper",
    "Jürgen Groß",
    "Zoë O'Brien-Müller",
    "Anne Marie van der Berg",
    "Łukasz Śliwiński",
    "Björn Åström",
    "José García Márquez",
    "Nguyễn Văn An",
)


def people(count: int, first: int = 1) -> list[Person]:
    """That many people with IDs of the form s0000001, names, addresses and numbers of each LMS."""
    made = []
    for index in range(first, first + count):
        name = NAMES[(index - 1) % len(NAMES)]
        if index > len(NAMES):
            name += f" {'ABCDEFGHIJKLMNOPQRSTUVWXYZ'[(index - 1) // len(NAMES) % 26]}"
        numbers = {
            "moodle": str(50_000 + index),
            "canvas": str(700 + index),
            "login": f"user{index}",
            "sis": f"sis-{index}",
        }
        made.append(Person(f"s{index:07d}", name, f"user{index}@example.org", numbers))
    return made


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files by path with /; a text that begins with #! is made executable."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        if path.read_bytes().startswith(b"#!"):
            path.chmod(0o755)
    return folder


def zip_of(folder: Path, dest: Path, top: str = "") -> Path:
    """Zip a folder's files, below the folder `top` if one is named."""
    dest.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(dest, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(
                    path, f"{top}/{path.relative_to(folder)}" if top else path.relative_to(folder)
                )
    return dest


def tar_of(folder: Path, dest: Path, top: str = "") -> Path:
    """Tar a folder; its ending says how it is packed."""
    dest.parent.mkdir(parents=True, exist_ok=True)
    packing = {".gz": "w:gz", ".tgz": "w:gz", ".bz2": "w:bz2", ".xz": "w:xz"}.get(dest.suffix, "w")
    with tarfile.open(dest, packing) as archive:  # type: ignore[call-overload]
        archive.add(folder, top or ".")
    return dest


def moodle_zip(
    people: Sequence[Person], folders: Mapping[str, Path], dest: Path, *, loose: Sequence[str] = ()
) -> Path:
    """Moodle's download: a folder per person with a zip in it; loose files for those in `loose`."""
    dest.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(dest, "w", zipfile.ZIP_DEFLATED) as archive:
        for person in people:
            if person.id not in folders:
                continue
            top = (
                f"{person.name.replace('_', ' ')}_{person.numbers['moodle']}_assignsubmission_file_"
            )
            source = folders[person.id]
            if person.id in loose:
                for path in sorted(source.rglob("*")):
                    if path.is_file():
                        archive.write(path, f"{top}/{path.relative_to(source).as_posix()}")
            else:
                packed = io.BytesIO()
                with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as inner:
                    for path in sorted(source.rglob("*")):
                        if path.is_file():
                            inner.write(path, f"lab/{path.relative_to(source).as_posix()}")
                archive.writestr(f"{top}/lab.zip", packed.getvalue())
    return dest


def canvas_name(person: Person, file: str, *, late: bool = False, upload: int = 90_000) -> str:
    """The name that Canvas gives to a person's file."""
    words = person.name.lower().split()
    name = "".join(c for c in "".join([words[-1], *words[:-1]]) if c.isalnum())
    return f"{name}_{'LATE_' if late else ''}{person.numbers['canvas']}_{upload}_{file}"


def canvas_zip(
    people: Sequence[Person], folders: Mapping[str, Path], dest: Path, *, late: Sequence[str] = ()
) -> Path:
    """Canvas's download: flat files, one zip per person."""
    scratch = dest.with_suffix(".parts")
    for person in people:
        if person.id in folders:
            name = canvas_name(person, "lab-1.zip", late=person.id in late)
            zip_of(folders[person.id], scratch / name)
    made = zip_of(scratch, dest)
    shutil.rmtree(scratch)
    return made


def folder_of_folders(folders: Mapping[str, Path], dest: Path) -> Path:
    for student, folder in folders.items():
        shutil.copytree(folder, dest / student)
    return dest


def folder_of_archives(folders: Mapping[str, Path], dest: Path, ending: str = ".zip") -> Path:
    """An archive per student, `.zip`, `.tar`, `.tar.gz`, `.tar.bz2` or `.tar.xz`."""
    for student, folder in folders.items():
        pack = zip_of if ending == ".zip" else tar_of
        pack(folder, dest / f"{student}{ending}")
    return dest


def git_clone(folder: Path, dest: Path, when: str = "2026-11-24T10:00:00+01:00") -> Path:
    """A clone with one commit of `folder`, made at `when`, its objects packed."""
    shutil.copytree(folder, dest)
    environment = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{who}_NAME": "A" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "a@example.org" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_DATE": when for who in ("AUTHOR", "COMMITTER")},
    }
    for words in (
        ["init", "-q", "-b", "main"],
        ["add", "-A"],
        ["commit", "-qm", "x"],
        ["gc", "-q"],
    ):
        subprocess.run(["git", *words], cwd=dest, env=environment, check=True, capture_output=True)
    return dest


def roster_csv(people: Sequence[Person], dest: Path) -> Path:
    """A plain roster."""
    dest.parent.mkdir(parents=True, exist_ok=True)
    with dest.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["student id", "name", "email", "login", "sis id", "canvas id", "moodle id"])
        for p in people:
            n = p.numbers
            rows.writerow(
                [
                    p.id,
                    p.name,
                    p.email,
                    *(n.get(k, "") for k in ("login", "sis", "canvas", "moodle")),
                ]
            )
    return dest
