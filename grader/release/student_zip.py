"""The student release: one zip with a lab and only the parts of the kit that students need.

What is needed is found, not listed: the student's commands and the lab's checks, and all that they
import. So a solution, a hidden check or a tutor's command is in it only if it was put there.
"""

from __future__ import annotations

import ast
import re
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from grader import __version__, paths
from grader.checks import HIDDEN
from grader.errors import KitError
from grader.handout import rendering
from grader.lab.labfile import names
from grader.lab.model import Lab
from grader.submission import reproducible_zip
from grader.submission.ignored import is_junk
from grader.submission.reproducible_zip import Packed

COMMANDS = ("check", "submit", "handout", "swarm", "images", "engine", "doctor")
"""What a student's command line has."""

TUTORS_OWN = frozenset({"grader.grading.examples"})
"""Imported by a student's command only where it is there: what it gives is for tutors."""

BY_NAME = ("machines",)
"""Packages of which a module is imported by a name that is known only while the kit runs."""

REPORTS_LEFT_OUT = ("answers", "class")
"""Pages that only tutors make."""

ALSO = ("LICENSE", ".gitattributes", ".gitignore", "Vagrantfile", "vagrant")
DOCS = ("students.md", "machines.md")
_ABOUT = re.compile(r"(?m)^<!-- lab: (?P<lab>\w+) -->\n+")
KEPT_SECTIONS = ("build-system", "project", "tool.setuptools", "tool.setuptools.dynamic")


@dataclass(frozen=True)
class Release:
    """The zip `file`: its size in bytes, its number of files, and how many hidden checks' files
    stayed here."""

    file: Path
    size: int
    files: int
    hidden: int


def name(lab: Lab) -> str:
    return f"drydock-{lab.id}-{__version__}.zip"


def make(lab: Lab, dest: Path) -> Release:
    """Write the release to `dest`, whole or not at all; over an older one. KitError."""
    files = contents(lab)
    root = f"drydock-{lab.id}"
    if dest.exists() and not _is_release(dest):
        raise KitError(
            "This file is not a release, so it is not overwritten.",
            where=str(dest),
            remedy="Move it away, or choose another name with --out.",
        )
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=dest.parent, prefix=".release-") as scratch:
            packed = Path(scratch) / "release.zip"
            reproducible_zip.write({f"{root}/{path}": file for path, file in files.items()}, packed)
            packed.replace(dest)
    except OSError as error:
        raise KitError(
            f"The release cannot be written: {error.strerror or error}.",
            where=str(error.filename or dest),
            remedy="Fix that, or choose another file with --out.",
        ) from None
    hidden = len(list((lab.folder / "checks").rglob(f"*{HIDDEN}")))
    return Release(dest, dest.stat().st_size, len(files), hidden)


def _is_release(file: Path) -> bool:
    try:
        with zipfile.ZipFile(file) as packed:
            return any(re.fullmatch(r"drydock-\w+/noxfile\.py", n) for n in packed.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def contents(lab: Lab) -> dict[str, Packed]:
    """All files of the release by path with /. KitError if one of them tells what it must not."""
    checks = _checks(lab)
    files = {f"labs/{lab.id}/lab.yaml": _read(lab.folder / "lab.yaml")}
    files |= {
        f"labs/{lab.id}/{path.relative_to(lab.folder).as_posix()}": _read(path) for path in checks
    }
    files |= _tree(lab.templates, f"templates/{lab.id}")
    for each in ("images", "pictures"):
        files |= _tree(paths.TEMPLATES / each, f"templates/{each}")
    files |= {
        path: file
        for path, file in _tree(paths.TEMPLATES / "reports", "templates/reports").items()
        if Path(path).name.split(".")[0] not in REPORTS_LEFT_OUT
    }
    modules = _modules()
    for module in sorted(_needed(checks, modules)):
        path = modules[module]
        files[path.relative_to(paths.KIT).as_posix()] = _read(path)
    for each in ALSO:
        path = paths.KIT / each
        files |= _tree(path, each) if path.is_dir() else {each: _read(path)}
    files = {path: file for path, file in files.items() if not path.startswith("vagrant/box/")}
    files |= _written(lab)
    return dict(sorted(files.items()))


def _checks(lab: Lab) -> list[Path]:
    """The lab's files of checks without those of hidden ones; KitError where others hide one."""
    found = []
    for path in sorted((lab.folder / "checks").rglob("*.py")):
        if path.name.endswith(HIDDEN):
            continue
        for node in ast.walk(_parsed(path)):
            if isinstance(node, ast.keyword) and node.arg == "visibility":
                raise KitError(
                    "This hidden check is in a file that students get.",
                    where=f"{path}, line {node.value.lineno}",
                    remedy=f"Move it to a file check_…{HIDDEN} there, which stays out of the "
                    f"release.",
                )
        found.append(path)
    return found


def _needed(checks: Iterable[Path], modules: Mapping[str, Path]) -> set[str]:
    """Those of the kit's `modules` that a student's commands and these checks import, however far
    down."""
    waiting = ["grader.__main__", "grader.grading.process", *(f"grader.cli.{c}" for c in COMMANDS)]
    waiting += [m for m in modules if m.startswith(tuple(f"grader.{name}." for name in BY_NAME))]
    waiting += [module for path in checks for module in _imports(path)]
    found: set[str] = set()
    while waiting:
        module = waiting.pop()
        if module in found or module in TUTORS_OWN or module not in modules:
            continue
        found.add(module)
        waiting += [module.rpartition(".")[0], *_imports(modules[module])]
    return found


def _modules() -> dict[str, Path]:
    """The kit's modules by their dotted names."""
    found = {}
    for path in sorted((paths.KIT / "grader").rglob("*.py")):
        parts = path.relative_to(paths.KIT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _imports(path: Path) -> set[str]:
    """Everything that a file imports, anywhere in it; names as if each were a module."""
    found: set[str] = set()
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _parsed(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes(), str(path))
    except SyntaxError as error:
        raise KitError(
            f"This is not valid Python: {error.msg}.", where=f"{path}, line {error.lineno}"
        ) from None


def _written(lab: Lab) -> dict[str, Packed]:
    """What is made for students: README, noxfile, pyproject, and the pages about their commands."""
    values = {"lab": lab}
    made = rendering.render(paths.TEMPLATES / "release", values)
    made["pyproject.toml"] = _sections((paths.KIT / "pyproject.toml").read_text("utf-8")).encode()
    sessions = set(re.findall(r"@session\ndef (\w+)", made["noxfile.py"].decode("utf-8")))
    for page in DOCS:
        text = (paths.KIT / "docs" / page).read_text(encoding="utf-8")
        made[f"docs/{page}"] = _for_students(text, lab, sessions).encode("utf-8")
    return {path: Packed(content) for path, content in made.items()}


def _sections(text: str) -> str:
    """A pyproject.toml without what is for working on the kit."""
    parts = re.split(r"(?m)^(?=\[)", text)
    return "".join(p for p in parts if p[1:].partition("]")[0] in KEPT_SECTIONS)


def _of_lab(text: str, lab: Lab) -> str:
    """A page without sections about other labs; what it shows with a lab's name has this one's.

    A section says below its heading which lab it is about: <!-- lab: lab4 -->
    """
    kept = []
    for section in re.split(r"(?m)^(?=## )", text):
        about = _ABOUT.search(section)
        if about is None or about["lab"] == lab.id:
            kept.append(_ABOUT.sub("", section))
    others = "|".join(re.escape(name) for name in names())
    return re.sub(rf"\b({others})\b", lab.id, "".join(kept))


def _for_students(text: str, lab: Lab, sessions: set[str]) -> str:
    """A page about this lab, without rows about sessions and targets, and links to pages, that
    the lab or this release does not have."""

    def there_is(line: str) -> bool:
        targets = re.findall(r"--target (\w+)", line)
        shown = all(any(e.runs_on(target) for e in lab.exercises) for target in targets)
        return shown and sessions.issuperset(re.findall(r"nox -s (\w+)", line))

    lines = _of_lab(text, lab).splitlines(keepends=True)
    kept = "".join(line for line in lines if not line.startswith("|") or there_is(line))
    there = {*DOCS, *(f"../{each}" for each in ALSO)}

    def link(found: re.Match[str]) -> str:
        if found["to"] in there:
            return found[0]
        # A sentence that is nothing but the link says nothing without it.
        alone = found["before"] and found["after"]
        return "" if alone else f"{found['before']}{found['text']}{found['after']}"

    pattern = (
        r"(?P<before>(?:(?<=\.)\s+)?)\[(?P<text>[^]]*)\]"
        r"\((?!https?:|#)(?P<to>[^)#]*)[^)]*\)(?P<after>\.?)"
    )
    return re.sub(pattern, link, kept)


def _tree(folder: Path, at: str) -> dict[str, Packed]:
    return {
        f"{at}/{path.relative_to(folder).as_posix()}": _read(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(is_junk(p) for p in path.relative_to(folder).parts)
    }


def _read(path: Path) -> Packed:
    content = path.read_bytes()
    return Packed(content, reproducible_zip.executable(path, content))
