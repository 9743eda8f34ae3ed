"""An image set as a file with its own file system, which nodes can only read.

The kit's own engine mounts the file from a loop device that refuses writes, with a read-only
superblock. Root of a node has no rights over either, whatever it does to the mount that it sees.
Folder and file belong to root: `HOME/engine/images/NAME.img`. The volume's device is a link,
`/run/drydock-KEY/images/NAME`, because a loop device has another number after each restart of the
machine. Before a node starts, `attach` makes sure that the link leads to this file.

While a set is made, its file is writable and has another name; a finished file is never changed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.engine import disk, engine_paths, engine_state, locks, orphans, packages
from grader.errors import EngineFault

if TYPE_CHECKING:
    import docker

    from grader.engine.client import Engine
    from grader.engine.engine_paths import EnginePaths

PROGRAMS = ("losetup", "mke2fs", "e2fsck")
MOST_BYTES = 16 * 1024**3
"""The file uses only as much space as is written to it."""
NEEDED_BYTES = 4 * 1024**3
SPARE_BYTES = 1024**3
BLOCK = 1 << 16
SEALED = "-sealed"
"""The ending of the names of finished sets."""
LOCK_SECONDS = 120


def folder(where: EnginePaths | None = None) -> Path:
    return (where or engine_paths.current()).home / "engine" / "images"


def file(name: str, where: EnginePaths | None = None) -> Path:
    return folder(where) / f"{name}.img"


def link(name: str, where: EnginePaths | None = None) -> Path:
    return (where or engine_paths.current()).run / "images" / name


def possible(engine: Engine) -> bool:
    """Whether sets of this engine can be files: it is the kit's own engine, and the kit can be
    root."""
    return (
        engine.url == engine_paths.current().url
        and not packages.missing(PROGRAMS)
        and packages.may_be_root()
    )


def options(name: str, *, read_only: bool) -> dict[str, str]:
    """The options of the volume `name` for Docker's local driver."""
    # No journal is replayed on a device that cannot be written to; it has been closed in order.
    how = "ro,noload" if read_only else "noinit_itable"
    return {"type": "ext4", "device": str(link(name)), "o": how}


def owns(volume: Mapping[str, Any]) -> bool:
    """Whether the volume, from the engine's data, is such a file of this data directory."""
    device = (volume.get("Options") or {}).get("device", "")
    return bool(device == str(link(str(volume["Name"]))))


def lent(volume: Mapping[str, Any]) -> bool:
    """Whether the volume is a finished file of the other data directory that this engine belongs
    to."""
    options = volume.get("Options") or {}
    finished = options.get("type") == "ext4" and "ro" in str(options.get("o", "")).split(",")
    return finished and not owns(volume)


def lender(volume: Mapping[str, Any]) -> Path | None:
    """The file of a lent volume; None if this user cannot know or read it."""
    device = _device(Path(str((volume.get("Options") or {}).get("device", ""))))
    try:
        told = Path("/sys/block", Path(device or "-").name, "loop/backing_file")
        found = Path(told.read_text("utf-8", "replace").removesuffix("\n"))
        return found if os.access(found, os.R_OK) else None
    except OSError:
        return None


def ready(client: docker.DockerClient, name: str) -> None:
    """Call this before a container gets the volume `name`: it makes sure that its device exists.

    Takes a millisecond. Raises EngineFault if the volume or its file is gone.
    """
    from docker.errors import NotFound

    try:
        volume = client.api.inspect_volume(name)
    except NotFound:
        # The engine would make an empty one.
        raise EngineFault(
            "The image set no longer exists.",
            where=name,
            remedy="Run the command again: the image set is built when it is needed.",
        ) from None
    if owns(volume):
        attach(name, read_only="ro" in str(volume["Options"].get("o", "")).split(","))


def attach(name: str, *, read_only: bool) -> None:
    """Make the link lead to a loop device with the file, whatever was there before.

    Several processes may do this at once. If one is killed, the next one can use what it left.
    Raises EngineFault.
    """
    path = file(name)
    if _leads_to(_device(link(name)), path, read_only=read_only):
        return
    with locks.alone("image-files", LOCK_SECONDS, "attaching the image set"):
        if _leads_to(_device(link(name)), path, read_only=read_only):
            return
        if not path.exists():
            raise EngineFault(
                "The file of the image set is missing.",
                where=str(path),
                remedy="Build the set again: python -m grader images build --fresh",
            )
        if not packages.may_be_root():
            raise EngineFault(
                "The image set is not attached. To attach it, you need root.",
                where=str(path),
                remedy="Ask an administrator to run: python -m grader engine start",
            )
        _attach(path, link(name), read_only=read_only)
        if read_only:
            _hold(name, engine_paths.current())


def attach_all(where: EnginePaths) -> None:
    """The root part, done when root starts the engine: for users who are not root."""
    for path in sorted(folder(where).glob(f"*{SEALED}.img")):
        _attach(path, link(path.stem, where), read_only=True)
        _hold(path.stem, where)


def _hold(name: str, where: EnginePaths) -> None:
    """Keep the file mounted as long as the engine lives: otherwise the kernel's cache of it
    would be lost with the last node, and the next node would start more slowly."""
    _let_go(name, where)
    point = _held(name, where)
    # Without this it is slower, and nothing else.
    with contextlib.suppress(EngineFault):
        disk.run(["mkdir", "-p", point])
        mount = ["mount", "-t", "ext4", "-o", options(name, read_only=True)["o"]]
        disk.run([*_inside(where), *mount, link(name, where), point])


def _let_go(name: str, where: EnginePaths) -> None:
    if _held(name, where).exists():
        with contextlib.suppress(EngineFault):
            disk.run([*_inside(where), "umount", _held(name, where)])


def _held(name: str, where: EnginePaths) -> Path:
    return link(name, where).with_name(f"{name}.held")


def _inside(where: EnginePaths) -> list[str | Path]:
    """The prefix of a command that must see the engine's mounts. Raises EngineFault if it does
    not run."""
    state = engine_state.read_state(where)
    if state is None or orphans.start_time(state.pid) != state.started:
        raise EngineFault("The engine does not run.")
    return ["nsenter", f"--mount=/proc/{state.pid}/ns/mnt", "--"]


def _attach(path: Path, to: Path, *, read_only: bool) -> None:
    # One that was killed before it had made the link has left a device.
    there = (d for d in orphans.loops(path) if _leads_to(d, path, read_only=read_only))
    device = next(there, None) or disk.attach(path, read_only=read_only)
    disk.run(["mkdir", "-p", to.parent])
    disk.run(["ln", "-sfnT", device, to])


def _device(link: Path) -> str | None:
    try:
        return str(link.readlink())
    except OSError:
        return None


def _leads_to(device: str | None, path: Path, *, read_only: bool) -> bool:
    """Whether the loop device has this file, is of this kind, and stays when it is not in use.

    The kernel adds "(deleted)" to the name of a file that was replaced.
    """
    wanted = {
        "loop/backing_file": str(path),
        "loop/offset": "0",
        "loop/sizelimit": "0",
        "loop/autoclear": "0",
        "ro": str(int(read_only)),
    }
    try:
        return device is not None and all(
            Path("/sys/block", Path(device).name, entry).read_text("utf-8", "replace")
            == f"{value}\n"
            for entry, value in wanted.items()
        )
    except OSError:
        return False


def begin(name: str, owner: int) -> None:
    """Make the file `name` to fill, or continue with an existing one; `owner` owns its top
    folder."""
    path = file(name)
    if not path.exists():
        disk.run(["mkdir", "-p", path.parent])
        disk.require(path.parent, NEEDED_BYTES, "the image set")
        # A full file system says so; a full disk below one damages it.
        most = min(MOST_BYTES, shutil.disk_usage(path.parent).free - SPARE_BYTES)
        new = path.with_suffix(".new")
        disk.run(["rm", "-f", new])
        disk.make_file_system(new, most >> 20, owner, journal=True)
        disk.run(["mv", "-fT", new, path])
    attach(name, read_only=False)


def take_up(finished: str, name: str) -> None:
    """Continue with the file as `name` after a kit was killed between finishing a set and
    recording it."""
    if file(finished).exists() and not file(name).exists():
        _detach(finished)
        disk.run(["mv", "-fT", file(finished), file(name)])


def finish(name: str, finished: str) -> None:
    """Rename the file `name`, which is no longer mounted, to `finished`: from now on it is only
    read."""
    path = file(name)
    _detach(name)
    disk.run(["e2fsck", "-f", "-p", path], good=(0, 1))
    # Gives back what the builds have used and removed; only done where there is nothing to correct.
    disk.run(["e2fsck", "-f", "-p", "-E", "discard", path])
    disk.run(["sync", path])
    _detach(finished)
    disk.run(["mv", "-fT", path, file(finished)])
    attach(finished, read_only=True)


def remove(name: str) -> None:
    """Detach and delete the file `name`, if it is there."""
    _detach(name)
    if file(name).exists():
        disk.run(["rm", "-f", file(name)])


def sweep(prefix: str, keep: Iterable[str]) -> None:
    """Remove files of sets that a killed kit could not remove."""
    names = set(keep)
    for path in folder().glob(f"{prefix}*.img"):
        if path.stem not in names:
            remove(path.stem)


def _detach(name: str) -> None:
    _let_go(name, engine_paths.current())
    if os.path.lexists(link(name)):
        disk.run(["rm", "-f", link(name)])
    orphans.detach_loops(file(name))


def identity(path: Path) -> str:
    """A value that changes with every write to a set's file. Takes almost no time.

    The kernel sets a file's ctime, and no call can set it back.
    """
    try:
        found = path.stat()
    except OSError as error:
        return f"{error.strerror}"
    return f"{found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"


def digest(path: Path) -> str:
    """The SHA-256 of all non-empty blocks of a set's file, with their positions.

    Takes some seconds. The result does not depend on whether empty blocks are holes in the file.
    Raises EngineFault.
    """
    found = sha256()
    empty = bytes(BLOCK)
    try:
        with path.open("rb", buffering=0) as opened:
            size = os.fstat(opened.fileno()).st_size
            position = 0
            while (start := _next_data(opened.fileno(), position)) is not None:
                position = max(position, start // BLOCK * BLOCK)
                end = os.lseek(opened.fileno(), start, os.SEEK_HOLE)
                while position < end:
                    block = os.pread(opened.fileno(), BLOCK, position)
                    if block != empty[: len(block)]:
                        found.update(position.to_bytes(8, "big") + block)
                    position += BLOCK
    except OSError as error:
        raise EngineFault(
            f"The image set's file cannot be read: {error.strerror}", where=str(path)
        ) from None
    found.update(size.to_bytes(8, "big"))
    return found.hexdigest()


def _next_data(descriptor: int, position: int) -> int | None:
    try:
        return os.lseek(descriptor, position, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        raise
