"""The offline box: a Debian with everything the class swarm's nodes need, as a Vagrant box.

Its packages come from where this machine's own apt gets them. The recipe is `vagrant/box/`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from grader.console import task
from grader.release.box import archive, debian, disk, preload
from grader.release.box.preload import Images
from grader.release.box.recipe import Recipe
from grader.release.box.tools import prepare, remove

__all__ = ["Images", "Recipe", "build"]


def build(folder: Path, images: Images | None = None) -> Path:
    """Write the box and its list into `folder`; the list's path, for `vagrant box add`.

    With `images` in its engine. Raises KitError where this machine cannot build one,
    EngineFault where a tool fails.
    """
    recipe = Recipe.read()
    prepare()
    folder.mkdir(parents=True, exist_ok=True)
    with (
        # Beside the result, where the room has to be anyway; /tmp may be memory.
        tempfile.TemporaryDirectory(dir=folder, prefix=".box-", ignore_cleanup_errors=True) as name,
        task(f"Building {recipe.file}") as detail,
    ):
        work = Path(name).resolve()
        try:
            debian.make(recipe, work / "root", detail)
            if images is not None:
                preload.fill(work / "root", images, detail)
            detail("making the disk")
            disk.make(recipe, work)
            detail("packing")
            archive.pack(recipe, work, folder / recipe.file)
        finally:
            # It belongs to root where the kit used sudo, and nothing of it may stay.
            remove(work / "root")
    catalogue = folder / recipe.catalogue
    catalogue.write_text(archive.listing(recipe, folder / recipe.file), "utf-8")
    return catalogue
