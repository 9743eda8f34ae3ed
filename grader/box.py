"""The offline box: a Debian with everything the class swarm's nodes need, as a Vagrant box.

Its packages come from where this machine's own apt gets them. The recipe is `vagrant/box/`.
"""

from __future__ import annotations

import gzip
import json
import os
import shlex
import sys
import tarfile
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from grader import paths
from grader.console import task
from grader.engine import packages
from grader.engine.images import site
from grader.errors import EngineFault, KitError

RECIPE = paths.KIT / "vagrant" / "box"
TOOLS = {"mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs", "qemu-img": "qemu-utils"}
BUNDLE = "usr/local/share/drydock/images.bundle"
"""Where vagrant/provision/images.sh looks for it in a node."""
EPOCH = 1704067200
"""The time that all files of the box have, unless SOURCE_DATE_EPOCH says another."""


@dataclass(frozen=True)
class Recipe:
    name: str
    version: str
    suite: str
    disk: int
    packages: tuple[str, ...]

    @classmethod
    def read(cls, path: Path = RECIPE / "recipe.yaml") -> Recipe:
        tree: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
        return cls(**{**tree, "packages": tuple(tree["packages"])})

    @property
    def file(self) -> str:
        return f"{self.name.replace('/', '-')}-{self.version}.box"


def build(folder: Path, bundle: Path | None = None) -> Path:
    """Write the box and its list into `folder`; the list's path, for `vagrant box add`.

    Raises KitError where this machine cannot build one, EngineFault where a tool fails.
    """
    recipe = Recipe.read()
    _prepare(bundle)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        # Beside the result, where the room has to be anyway; /tmp may be memory.
        tempfile.TemporaryDirectory(dir=folder, prefix=".box-", ignore_cleanup_errors=True) as name,
        task(f"Building {recipe.file}") as detail,
    ):
        work = Path(name)
        try:
            _debian(recipe, work / "root", detail)
            if bundle is not None:
                detail("putting the image set in")
                _root(["install", "-D", "-m", "644", str(bundle), str(work / "root" / BUNDLE)])
            detail("making the disk")
            _disk(recipe, work)
            detail("packing")
            pack(recipe, work, folder / recipe.file)
        finally:
            # It belongs to root where the kit used sudo, and nothing of it may stay.
            packages.run_lines(packages.as_root(["rm", "-rf", str(work / "root")]), None)
    catalogue = folder / f"{recipe.name.replace('/', '-')}.json"
    catalogue.write_text(listing(recipe, folder / recipe.file), "utf-8")
    return catalogue


def _prepare(bundle: Path | None) -> None:
    if not sys.platform.startswith("linux") or packages.program("apt-get") is None:
        raise KitError(
            "The box is built on Debian or Ubuntu.",
            remedy="Build it there and copy it, or use the public box in vagrant/nodes.yaml.",
        )
    if not packages.may_be_root():
        raise KitError(
            "The box's files belong to its root, so it is built as root.",
            remedy="Try: sudo python -m grader box FOLDER",
        )
    if bundle is not None and not bundle.is_file():
        raise KitError(
            "There is no such file.",
            where=str(bundle),
            remedy=f"Write it first: python -m grader images save {bundle}",
        )
    wanted = [TOOLS[tool] for tool in packages.missing(TOOLS)]
    if wanted:
        packages.apt_install(wanted, "to build the box")


def bootstrap_command(
    recipe: Recipe, root: Path, sources: Sequence[str], proxies: Mapping[str, str]
) -> list[str]:
    """mmdebstrap's command line for the box's files."""
    return [
        # Not from the kit's own environment: sudo would drop it.
        "env",
        f"DRYDOCK_KEY={(RECIPE / 'vagrant.pub').read_text('utf-8').strip()}",
        f"SOURCE_DATE_EPOCH={_epoch()}",
        "mmdebstrap",
        "--variant=minbase",
        "--mode=root",
        "--format=directory",
        f"--include={','.join(recipe.packages)}",
        *(f'--aptopt={key} "{value}"' for key, value in proxies.items()),
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        f'--customize-hook={shlex.quote(str(RECIPE / "setup.sh"))} "$1"',
        recipe.suite,
        str(root),
        *sources,
    ]


def _debian(recipe: Recipe, root: Path, detail: Callable[[str], None]) -> None:
    lines: list[str] = []
    for sources in packages.suite_sources(recipe.suite):
        # They stay in the box, which others may be given.
        if not all(site.reachable_from_container(line.split()[1]) for line in sources):
            continue
        call = bootstrap_command(recipe, root, sources, packages.apt_proxies())
        rc, lines = packages.run_lines(packages.as_root(call), detail)
        if rc == 0:
            return
        packages.run_lines(packages.as_root(["rm", "-rf", str(root)]), None)
    raise EngineFault(
        "mmdebstrap could not make the box's Debian:\n" + "\n".join(lines[-8:]),
        remedy="Check that `apt-get update` works on this machine, then try again.",
    )


def _disk(recipe: Recipe, work: Path) -> None:
    """box.img, vmlinuz and initrd.img in `work`, from the files in `work`/root."""
    root, raw = work / "root", work / "disk.raw"
    user, group = packages.invoking_user() or (0, 0)
    for name in ("vmlinuz", "initrd.img"):
        found = sorted((root / "boot").glob(f"{name}-*"))
        if len(found) != 1:
            raise EngineFault(f"The box has {len(found)} files boot/{name}-*, not one.")
        own = ["install", "-m", "644", "-o", str(user), "-g", str(group)]
        _root([*own, str(found[0]), str(work / name)])
    identity = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{recipe.name} {recipe.version}"))
    with raw.open("wb") as disk:
        disk.truncate(recipe.disk << 30)
    # Not every mke2fs knows each of these; one that does makes the same disk twice.
    times = [f"SOURCE_DATE_EPOCH={_epoch()}", f"E2FSPROGS_FAKE_TIME={_epoch()}"]
    make = ["mke2fs", "-q", "-F", "-t", "ext4", "-L", "drydock", "-U", identity]
    make += ["-E", f"hash_seed={identity},root_owner=0:0", "-d", str(root), str(raw)]
    _root(["env", *times, *make])
    _run(["qemu-img", "convert", "-c", "-O", "qcow2", str(raw), str(work / "box.img")])
    raw.unlink()


def pack(recipe: Recipe, work: Path, box: Path) -> None:
    """One file for libvirt; the same content makes the same file."""
    about = {"provider": "libvirt", "format": "qcow2", "virtual_size": recipe.disk}
    (work / "metadata.json").write_text(json.dumps(about) + "\n", "utf-8")
    (work / "Vagrantfile").write_bytes((RECIPE / "Vagrantfile").read_bytes())
    partial = box.with_name(f".{box.name}.partial")
    try:
        with (
            partial.open("wb") as file,
            # The disk is compressed already; level 1 is for kernel and holes.
            gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=_epoch()) as packed,
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
    member.mtime = _epoch()
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


def _epoch() -> int:
    said = os.environ.get("SOURCE_DATE_EPOCH", "")
    return int(said) if said.isdigit() else EPOCH


def _root(argv: Sequence[str]) -> None:
    _run(packages.as_root(argv))


def _run(argv: Sequence[str]) -> None:
    rc, lines = packages.run_lines(argv, None)
    if rc != 0:
        raise EngineFault(f"{shlex.join(argv)} failed:\n" + "\n".join(lines[-8:]))
