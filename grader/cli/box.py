"""`box`: the offline box for the class swarm."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = """examples:
  python -m grader box build/box
  python -m grader box build/box --bundle lab-images.bundle    with the image set in it
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "box",
        help="build the Vagrant box for rooms without network",
        description="Builds a Debian with a Docker engine as a Vagrant box for libvirt, from "
        "where this machine's own apt gets its packages. Needs Debian or Ubuntu, and root.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the box is written")
    parser.add_argument(
        "--bundle", type=Path, metavar="FILE", help="image set, as `images save` writes it"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from grader import box

    catalogue = box.build(args.folder, args.bundle)
    size = (args.folder / box.Recipe.read().file).stat().st_size
    print(f"{args.folder / box.Recipe.read().file}: {size / 1e6:.0f} MB")
    print(f"Next: cd {args.folder} && vagrant box add {catalogue.name}")
    return 0
