"""Finds the exercises' folders in a submission."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from grader.lab.model import Lab
from grader.submission.archives import names
from grader.submission.ignored import is_junk

DEPTH = 5


def folders(lab: Lab) -> list[str]:
    """The names of all exercises' folders."""
    return list(dict.fromkeys(f for exercise in lab.exercises for f in exercise.folders))


def find(folder: Path, wanted: Collection[str]) -> tuple[Path | None, list[str]]:
    """The folder that contains most of the wanted ones (the outermost of these), and remarks about
    it.

    None if there is none within some levels. Upper and lower case do not matter.
    """
    found: list[tuple[int, int, str, Path]] = []
    for depth, place in _levels(folder):
        held = len(_held(place, wanted))
        if held:
            found.append((-held, depth, place.as_posix(), place))
    if not found:
        return None, []
    best = min(found)
    root = best[3]
    remarks = []
    if root != folder:
        inner = names.shown(root.relative_to(folder).as_posix())
        remarks.append(f"The exercises' folders were taken from the folder {inner}.")
        beside = sum(
            1 for p in folder.iterdir() if not root.is_relative_to(p) and not is_junk(p.name)
        )
        if beside:
            remarks.append(f"Everything beside {inner} was left out ({beside} files or folders).")
    twins = [f for f in found if f[:2] == best[:2] and f[3] != root]
    if twins:
        others = ", ".join(names.shown(f[3].relative_to(folder).as_posix()) for f in sorted(twins))
        remarks.append(f"Other folders with exercises were left out: {others}.")
    return root, remarks


def settle_case(root: Path, wanted: Collection[str]) -> list[str]:
    """Rename folders like `Webserver` to the requested name; returns remarks about it."""
    remarks = []
    for name, path in sorted(_held(root, wanted).items()):
        if path.name != name:
            # In two steps: on some systems the two names are the same file.
            path.rename(between := root / f".{name}.renamed")
            between.rename(root / name)
            remarks.append(f"The folder {names.shown(path.name)} was taken as {name}.")
    return remarks


def _held(place: Path, wanted: Collection[str]) -> dict[str, Path]:
    """The wanted folders directly in `place`, by the requested name."""
    try:
        there = {p.name: p for p in place.iterdir() if p.is_dir() and not p.is_symlink()}
    except OSError:
        return {}
    held = {name: there[name] for name in wanted if name in there}
    for name, path in sorted(there.items()):
        small = name.casefold()
        if small in wanted and small not in held:
            held[small] = path
    return held


def _levels(folder: Path) -> Iterator[tuple[int, Path]]:
    """A folder and those in it, level by level."""
    level = [folder]
    for depth in range(DEPTH):
        following: list[Path] = []
        for place in level:
            yield depth, place
            following += sorted(
                p
                for p in place.iterdir()
                if p.is_dir() and not p.is_symlink() and not is_junk(p.name)
            )
        level = following
