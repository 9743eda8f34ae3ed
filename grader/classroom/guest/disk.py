"""The disk of the virtual machine that grades: built once, in the data directory.

It contains Debian, the kit's Python packages, and the node image in its own engine. The kit's own
files and the image set are not part of it (see `machine`). So a changed check rebuilds nothing, and
the image set is not copied.
"""

from __future__ import annotations

import ast
import contextlib
import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from grader import paths
from grader.console import task
from grader.engine import find, images, locks, node_image, packages, sealed
from grader.engine.images import catalogue, export, image_builder, sets
from grader.errors import EngineFault, KitError
from grader.release.box import debian, disk, preload, tools
from grader.release.box.recipe import FOLDER

RECIPE = paths.TEMPLATES / "guest"
FORMAT = 1
"""Change this when this module makes a different disk from the same recipe."""

DATA = "/var/lib/drydock/engine/data"
"""Where the engine in the machine stores its data (see drydock.service)."""

PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_28_x86_64")
LOCK_SECONDS = 3600
NEEDED_BYTES = 6 * 1024**3


@dataclass(frozen=True)
class ImageFile:
    """The image set for the machine: its note, and `file`, which the machine only reads.

    `user` is the host's user ID that root of a node has in the file.
    """

    name: str
    version: str
    site: str
    images: Mapping[str, Mapping[str, str]]
    content: str
    identity: str
    user: int

    @property
    def file(self) -> Path:
        return sealed.file(self.name)


@dataclass(frozen=True)
class Disk:
    """A finished disk: files that are only read."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "root.img"

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        return self.folder / "initrd.img"


def supported() -> None:
    """Raise KitError if this machine cannot build and run a virtual machine."""
    if not sys.platform.startswith("linux") or packages.program("apt-get") is None:
        raise KitError(
            "A class is graded in a virtual machine on Debian or Ubuntu only.",
            remedy="Leave --inside vm out, or run the kit there.",
        )
    if platform.machine() != "x86_64":
        raise KitError(
            f"The virtual machine is one for x86-64, and this is {platform.machine()}.",
            remedy="Leave --inside vm out.",
        )
    if not packages.may_be_root():
        raise KitError(
            "The virtual machine's disk is built as root.",
            remedy="Run it as root, or with a sudo that needs no password.",
        )


def folder() -> Path:
    return paths.data_dir().expanduser().resolve() / "guest"


def ensure() -> tuple[Disk, ImageFile]:
    """Return the disk and the image set; make them if they do not exist (minutes, with progress).

    It uses an engine of the host only to make what is missing. Raises KitError if this machine
    cannot make them, EngineFault if a tool fails.
    """
    supported()
    with locks.alone("guest", LOCK_SECONDS, "making the virtual machine's disk"):
        image_file = _noted() or _note()
        made = Disk(folder() / key(image_file.user))
        if not made.folder.is_dir():
            _build(made.folder, image_file.user)
        _remove_others(made.folder)
    return made, image_file


def recipe() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((RECIPE / "recipe.yaml").read_text("utf-8"))
    return found


def key(user: int) -> str:
    """The name of the disk for nodes of that user, derived from everything that the disk is made
    from."""
    found = sha256()
    # By their names: where the kit lies makes no other disk.
    for path in sorted([*RECIPE.iterdir(), FOLDER / "initrd.sh"], key=lambda path: path.name):
        found.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    parts = [FORMAT, user, requirements(), node_image.tag(), node_image.mirror_tag()]
    found.update(json.dumps(parts).encode())
    return found.hexdigest()[:16]


def requirements(project: Path = paths.KIT / "pyproject.toml") -> list[str]:
    """The Python packages that the kit needs, from pyproject.toml."""
    text = project.read_text(encoding="utf-8")
    found = re.search(r"^dependencies = (\[.*?^\])", text, re.DOTALL | re.MULTILINE)
    if found is None:
        raise KitError("It does not have what the kit needs.", where=str(project))
    # A list of plain texts is written in TOML as in Python; not every Python reads TOML.
    return [str(one) for one in ast.literal_eval(found[1])]


def _note_file() -> Path:
    return folder() / "images.json"


def _noted() -> ImageFile | None:
    """The recorded image set, if its file is unchanged and belongs to this version of the kit."""
    try:
        found = ImageFile(**json.loads(_note_file().read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    wanted = found.version == catalogue.load().version
    return found if wanted and sealed.identity(found.file) == found.identity else None


def _note() -> ImageFile:
    engine = find.ensure(find.EMBEDDED)
    found = images.ensure(engine)
    if found.kind != "file":
        raise KitError(
            "The virtual machine needs the image set as a file, and there is none here.",
            remedy="Install e2fsprogs and mount (losetup), then: python -m grader images build"
            " --fresh --engine embedded",
        )
    noted = ImageFile(
        found.volume,
        found.version,
        found.site,
        found.images,
        found.content,
        sealed.identity(sealed.file(found.volume)),
        engine.mapped_uid,
    )
    folder().mkdir(parents=True, exist_ok=True)
    new = _note_file().with_suffix(".new")
    new.write_text(json.dumps(asdict(noted)), encoding="utf-8")
    new.replace(_note_file())
    return noted


def _build(final: Path, user: int) -> None:
    about = recipe()
    tools.prepare("to build the virtual machine's disk")
    final.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(final.parent).free
    if free < NEEDED_BYTES:
        raise EngineFault(
            f"Only {free >> 30} GiB are free for the virtual machine's disk, "
            f"{NEEDED_BYTES >> 30} GiB at least are needed.",
            where=str(final.parent),
            remedy="Free some space, or set DRYDOCK_HOME to a folder on a larger disk.",
        )
    with (
        tempfile.TemporaryDirectory(
            dir=final.parent, prefix=".new-", ignore_cleanup_errors=True
        ) as name,
        task("Building the virtual machine's disk (once, some minutes)") as detail,
    ):
        place = Path(name)
        root, python, done = place / "root", place / "python", place / "done"
        done.mkdir()
        try:
            detail("the kit's Python packages")
            _python(python, str(about["python"]))
            _debian(about, root, python, user, detail)
            with _node_images() as node_images:
                remap = ["--userns-remap=default", f"--data-root={DATA}"]
                preload.fill(root, node_images, detail, f"{DATA}/{user}.{user}", remap)
            detail("making the disk")
            disk.boot_files(root, done)
            disk.file_system(root, done / "root.img", int(about["disk"]), final.name)
        finally:
            # It belongs to root where the kit used sudo, and nothing of it may stay.
            tools.remove(root)
        done.chmod(0o755)
        done.rename(final)


def pip_command(python: str, dest: Path, wanted: Sequence[str]) -> list[str]:
    """The pip command that fetches packages for the machine's Python, with this machine's
    settings."""
    argv = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"]
    argv += ["--target", str(dest), "--only-binary=:all:", f"--python-version={python}"]
    return [*argv, *(f"--platform={name}" for name in PLATFORMS), *wanted]


def _python(dest: Path, version: str) -> None:
    argv = pip_command(version, dest, requirements())
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace"
    )
    if done.returncode != 0:
        raise EngineFault(
            "pip could not fetch the kit's Python packages for the virtual machine:\n"
            + "\n".join(done.stderr.splitlines()[-8:]),
            remedy="Check that `python -m pip download pytest` works on this machine.",
        )


def _debian(
    about: Mapping[str, Any], root: Path, python: Path, user: int, detail: Callable[[str], None]
) -> None:
    told = {
        "DRYDOCK_PYTHON": str(python),
        "DRYDOCK_UNIT": str(RECIPE / "drydock.service"),
        "DRYDOCK_USER": str(user),
    }
    suite = str(about["suite"])

    def call(sources: Sequence[str]) -> list[str]:
        return debian.command(
            suite,
            about["packages"],
            root,
            sources,
            packages.apt_proxies(),
            told,
            [RECIPE / "setup.sh"],
        )

    debian.bootstrap(suite, root, call, detail)


@contextlib.contextmanager
def _node_images() -> Iterator[preload.Images]:
    """The images of the node and of the mirror from the host's engine."""
    engine = find.ensure(find.EMBEDDED)
    names = [node_image.ensure(engine), node_image.ensure_mirror(engine)]
    with contextlib.closing(engine.client(timeout=image_builder.SECONDS)) as client:
        ids = {name: str(client.images.get(name).id) for name in names}
        yield preload.Images(ids, lambda: contextlib.nullcontext(export.several(client, names)))


def _remove_others(made: Path) -> None:
    """Remove disks of other versions, and what a killed build left. A disk in use stays open."""
    for path in made.parent.iterdir():
        if path.is_dir() and path != made:
            tools.remove(path)


def adopt(image_set: sets.ImageSet, device: Path) -> None:
    """Inside the machine, before its engine starts: use the file on the disk `device` as the
    set."""
    path = sealed.file(image_set.volume)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    subprocess.run(["mount", "--bind", str(device), str(path)], check=True)
    engine = find.ensure(find.EMBEDDED)
    with contextlib.closing(engine.client()) as client:
        sets.adopt(client, image_set)
