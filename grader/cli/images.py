"""`images build|list|save|load|verify`: the image set."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from grader.errors import KitError

if TYPE_CHECKING:
    from grader.engine.client import Engine
    from grader.engine.images.sets import ImageSet

EXAMPLE = """examples:
  python -m grader images build                      what is missing, from Debian packages
  python -m grader images build --registry mirror.example:5000
                                                     upstream images from your own registry
  python -m grader images build --pull               upstream images from Docker Hub
  python -m grader images list
  python -m grader images save lab-images.bundle     for machines without network …
  python -m grader images load lab-images.bundle     … and on that machine
  python -m grader images verify                     exit code 3 if an image is not correct
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "images",
        help="build, list, save, load or verify the image set",
        description="The image set: every image that a submission may use. Grading builds it when "
        "it is needed. The engine stores it, one volume per version.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", choices=["build", "list", "save", "load", "verify"])
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="save, load: the bundle")
    parser.add_argument("--engine", metavar="URL", help="the engine to use, as in DOCKER_HOST")
    parser.add_argument(
        "--registry",
        metavar="HOST",
        help="build: pull upstream images from this registry (also: DRYDOCK_REGISTRY)",
    )
    parser.add_argument(
        "--pull",
        action="store_true",
        help="build: pull upstream images from Docker Hub (also: DRYDOCK_PULL=1)",
    )
    parser.add_argument("--fresh", action="store_true", help="build: build everything again")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from grader.engine import find

    if (args.file is None) == (args.action in ("save", "load")):
        needs = "needs a FILE" if args.file is None else "takes no FILE"
        raise KitError(f"`images {args.action}` {needs}.")
    if args.action != "build" and (args.registry or args.pull or args.fresh):
        raise KitError("--registry, --pull and --fresh go with `images build`.")
    if args.action == "list":
        return _list(find.find(args.engine))
    engine = find.ensure(args.engine)
    if args.action == "build":
        return _build(engine, args)
    if args.action == "load":
        return _load(engine, args.file)
    if args.action == "save":
        return _save(engine, args.file)
    return _verify(engine)


def _build(engine: Engine, args: argparse.Namespace) -> int:
    from grader.engine import images
    from grader.engine.sources import pull

    source = pull.choose(args.registry, args.pull)
    image_set = images.build(engine, source, fresh=args.fresh, again=True)
    print(f"Image set {image_set.version} is complete: {len(image_set.images)} images.")
    return 0


def _list(engine: Engine | None) -> int:
    """All images with their tags; 0 if they are there, else 3."""
    from rich.table import Table

    from grader.console import console
    from grader.engine import images
    from grader.engine.images import catalogue

    entries = catalogue.load()
    image_set = images.find(engine) if engine is not None else None
    table = Table("image", "also as", "ID", "origin", box=None, pad_edge=False)
    for image in entries.images:
        noted = image_set.images.get(image.name, {}) if image_set is not None else {}
        short = noted.get("id", "").removeprefix("sha256:")[:12]
        others = ", ".join(tag.split(":", 1)[1] for tag in image.tags[1:])
        table.add_row(image.tag, others, short or "-", noted.get("origin", "missing"))
    # A result, so it goes to standard output.
    type(console)(soft_wrap=True, highlight=False).print(table, markup=False)
    if image_set is None:
        print(f"Image set {entries.version} is not there yet: python -m grader images build")
        return 3
    print(f"Image set {entries.version}, in the volume {image_set.volume}:")
    print(f"{image_set.protection}.")
    return 0


def _wanted(engine: Engine) -> ImageSet:
    from grader.engine import images

    found = images.find(engine)
    if found is None:
        raise KitError(
            "The image set is not there yet.", remedy="First: python -m grader images build"
        )
    return found


def _save(engine: Engine, path: Path) -> int:
    from grader.engine.images import bundle

    if not path.absolute().parent.is_dir():
        raise KitError("The folder for the bundle does not exist.", where=str(path))
    bundle.save(engine, _wanted(engine), path)
    print(f"{path}: {path.stat().st_size / 1e6:.0f} MB")
    return 0


def _load(engine: Engine, path: Path) -> int:
    from grader.engine.images import bundle

    image_set = bundle.load(engine, path)
    print(f"Image set {image_set.version} is complete: {len(image_set.images)} images.")
    return 0


def _verify(engine: Engine) -> int:
    from grader.engine.images import sets, verify

    image_set = _wanted(engine)
    problem = sets.changed(engine, image_set, thorough=True)
    well = "correct"
    if not sets.comparable(engine, image_set):
        well = "not compared: only the user who runs this engine can read them"
    print(f"All files: {problem or well}")
    bad = int(problem is not None)
    for finding in verify.verify(engine, image_set):
        print(f"{finding.tag}: {finding.problem or 'as it should be'}")
        bad += finding.problem is not None
    if bad:
        print(f"{bad} of these are not correct: python -m grader images build --fresh")
    return 3 if bad else 0
