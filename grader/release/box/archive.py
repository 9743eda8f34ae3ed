"""The box itself, one file for libvirt, and the list that `vagrant box add` reads."""

from __future__ import annotations

import gzip
import json
import tarfile
from hashlib import sha256
from pathlib import Path

from grader.release.box.recipe import FOLDER, Recipe, epoch


def pack(recipe: Recipe, work: Path, box: Path) -> None:
    """One file for libvirt; the same content makes the same file."""
    about = {"provider": "libvirt", "format": "qcow2", "virtual_size": recipe.disk}
    (work / "metadata.json").write_text(json.dumps(about) + "\n", "utf-8")
    (work / "Vagrantfile").write_bytes((FOLDER / "Vagrantfile").read_bytes())
    partial = box.with_name(f".{box.name}.partial")
    try:
        with (
            partial.open("wb") as file,
            # All that is large is compressed already; Vagrant wants the form.
            gzip.GzipFile("", "wb", compresslevel=0, fileobj=file, mtime=epoch()) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive,
        ):
            for name in ("metadata.json", "Vagrantfile", "vmlinuz", "initrd.img", "box.img"):
                archive.add(work / name, name, filter=_anonymous)
        partial.replace(box)
    finally:
        partial.unlink(missing_ok=True)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mode = 0o644
    member.mtime = epoch()
    return member


def listing(recipe: Recipe, box: Path) -> str:
    """What `vagrant box add` reads: name, version and checksum; the box lies beside it."""
    found = sha256()
    with box.open("rb") as file:
        while chunk := file.read(1 << 20):
            found.update(chunk)
    provider = {
        "name": "libvirt",
        "url": box.name,
        "checksum_type": "sha256",
        "checksum": found.hexdigest(),
        "architecture": "amd64",
        "default_architecture": True,
    }
    version = {"version": recipe.version, "providers": [provider]}
    return json.dumps({"name": recipe.name, "versions": [version]}, indent=1) + "\n"
