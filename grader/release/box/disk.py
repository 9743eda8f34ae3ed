"""The box's disk, and kernel and initial RAM disk beside it."""

from __future__ import annotations

import uuid
from pathlib import Path

from grader.engine import packages
from grader.errors import EngineFault
from grader.release.box.recipe import Recipe, epoch
from grader.release.box.tools import run, run_as_root


def make(recipe: Recipe, work: Path) -> None:
    """box.img, vmlinuz and initrd.img in `work`, from the files in `work`/root."""
    raw = work / "disk.raw"
    boot_files(work / "root", work)
    file_system(work / "root", raw, recipe.disk, f"{recipe.name} {recipe.version}")
    # A quarter of zlib's time and smaller, also to read; QEMU knows it since 5.1.
    form = ["-O", "qcow2", "-c", "-o", "compression_type=zstd", "-m", "4", "-W"]
    run(["qemu-img", "convert", *form, str(raw), str(work / "box.img")])
    raw.unlink()


def boot_files(root: Path, work: Path) -> None:
    """vmlinuz and initrd.img in `work`, of the Debian in `root`."""
    user, group = packages.invoking_user() or (0, 0)
    for name in ("vmlinuz", "initrd.img"):
        found = sorted((root / "boot").glob(f"{name}-*"))
        if len(found) != 1:
            raise EngineFault(f"The machine has {len(found)} files boot/{name}-*, not one.")
        own = ["install", "-m", "644", "-o", str(user), "-g", str(group)]
        run_as_root([*own, str(found[0]), str(work / name)])


def file_system(root: Path, raw: Path, gigabytes: int, name: str) -> None:
    """`raw`, a sparse file with ext4 and the files in `root`; `name` decides its identity."""
    identity = str(uuid.uuid5(uuid.NAMESPACE_DNS, name))
    with raw.open("wb") as disk:
        disk.truncate(gigabytes << 30)
    # Not every mke2fs knows each of these; one that does makes the same disk twice.
    times = [f"SOURCE_DATE_EPOCH={epoch()}", f"E2FSPROGS_FAKE_TIME={epoch()}"]
    make = ["mke2fs", "-q", "-F", "-t", "ext4", "-L", "drydock", "-U", identity]
    make += ["-E", f"hash_seed={identity},root_owner=0:0", "-d", str(root), str(raw)]
    run_as_root(["env", *times, *make])
