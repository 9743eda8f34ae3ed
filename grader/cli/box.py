"""`box`: the offline box for the class swarm."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from grader.errors import KitError

if TYPE_CHECKING:
    from grader.release.box import Images

EXAMPLE = """examples:
  python -m grader box                              with the whole image set in it
  python -m grader box --exercise swarm --exercise rollout
                                                    a smaller one: only their images
  python -m grader box --bundle lab-images.bundle   the image set from a file
  python -m grader box --no-images build/empty      without images, in another folder
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "box",
        help="build the Vagrant box for rooms without network",
        description="Builds a Debian with a Docker engine and the lab's images as a Vagrant box "
        "for libvirt, from where this machine's own apt gets its packages. Needs Debian or "
        "Ubuntu, and root.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        default=Path("build/box"),
        metavar="FOLDER",
        help="where the box is written (build/box)",
    )
    images = parser.add_mutually_exclusive_group()
    images.add_argument(
        "--exercise",
        action="append",
        default=[],
        metavar="NAME",
        help="only the images of this exercise (repeatable)",
    )
    images.add_argument(
        "--bundle",
        type=Path,
        metavar="FILE",
        help="images from a file that `images save` wrote, instead of from the engine",
    )
    images.add_argument("--no-images", action="store_true", help="a box without images")
    parser.add_argument("--engine", metavar="URL", help="the engine with the image set")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from grader.release import box
    from grader.release.box import tools

    # What may be wrong is said before what takes minutes.
    wanted = _tags(args.exercise)
    tools.prepare()
    images = None
    if args.bundle is not None:
        images = _of_bundle(args.bundle)
    elif not args.no_images:
        images = _of_engine(args.engine, wanted)
    catalogue = box.build(args.folder, images)
    path = args.folder / box.Recipe.read().file
    print(f"{path}: {path.stat().st_size / 1e6:.0f} MB")
    print(f"Next: cd {args.folder} && vagrant box add {catalogue.name}")
    return 0


def _tags(exercises: Sequence[str]) -> set[str]:
    """The images that labs name for their exercises of these names."""
    from grader.lab import labfile

    found: dict[str, set[str]] = {}
    for name in labfile.names():
        for exercise in labfile.load(name).exercises:
            found.setdefault(exercise.id, set()).update(exercise.images)
    for name in exercises:
        if name not in found:
            raise KitError(
                f"No lab has an exercise {name!r}.", remedy=f"There are: {', '.join(found)}."
            )
    return {tag for name in exercises for tag in found[name]}


def _of_engine(url: str | None, wanted: set[str]) -> Images:
    """The image set, or those of its images that are wanted; made first if it is not there."""
    from grader.engine import find, images
    from grader.engine.images import catalogue, export
    from grader.release.box import Images

    entries = catalogue.load()
    engine = find.ensure(url)
    image_set = images.ensure(engine)
    ids = {
        tag: image_set.images[image.name]["id"]
        for image in entries.images
        if not wanted or wanted & {*image.tags}
        for tag in image.tags
    }
    return Images(ids, lambda: export.stream(engine, image_set, list(ids)))


def _of_bundle(path: Path) -> Images:
    from grader.engine.images import bundle
    from grader.release.box import Images

    return Images(bundle.ids(path), lambda: bundle.stream(path))
