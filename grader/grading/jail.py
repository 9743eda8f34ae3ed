"""The process of checks as a user who owns nothing, in a file system of its own.

Where the kit is root on Linux: the process sees Python, the kit's code, the lab and its own folder,
and nothing else of the machine; it has no network (connections come from the broker, open), and
runs as a user that no one else is. All of it is entered before anything of a submission is read.

    enter(Jail.of(lab.folder, lab.templates, work))

It takes system calls that only root has, and none of them is missing in practice; where one fails,
the caller goes on without and says so.
"""

from __future__ import annotations

import compileall
import contextlib
import ctypes
import functools
import os
import signal
import stat
import sys
import sysconfig
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader import paths
from grader.engine import packages

FIRST_UID = 0x70000000
"""Users from here on belong to no one: no distribution, no container and no person has them."""

PROCESSES = 256
"""Processes and threads."""

END_SECONDS = 10
"""How long processes may take to be gone once they are killed."""

SYSTEM = (
    *("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib"),
    *("/nix/store", "/usr/share/zoneinfo", "/etc/localtime", "/etc/ld.so.cache"),
    *("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"),
)
"""What Python's own libraries need. All of it is every user's to read."""

CLONE_NEWNS = 0x00020000
CLONE_NEWIPC = 0x08000000
CLONE_NEWNET = 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT = 1, 2, 4, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2
PR_SET_NO_NEW_PRIVS = 38


def possible() -> bool:
    """Whether the kit may try: root on Linux."""
    return sys.platform.startswith("linux") and packages.is_root()


def uid_of(pid: int) -> int:
    """The user as which the process `pid` runs its checks: no two at a time are the same."""
    return FIRST_UID + pid


@functools.cache
def compiled(*folders: Path) -> None:
    """Compile the kit's and a lab's code once: in a jail it is read, and cannot be written."""
    for folder in folders:
        with contextlib.suppress(OSError):
            compileall.compile_dir(folder, quiet=2)


@dataclass(frozen=True)
class Jail:
    """What is there: `shown` to be read (`code` is the kit's part of it), `work` to be written."""

    shown: Sequence[Path]
    code: Sequence[Path]
    work: Path

    @classmethod
    def of(cls, lab: Path, templates: Path, work: Path) -> Jail:
        """For checks of a lab, by this Python. Solutions are nothing that checks need."""
        labs = [path for path in lab.iterdir() if path.name != "examples"]
        code = [paths.KIT / "grader", paths.TEMPLATES, *labs, templates]
        python = [Path(sysconfig.get_path("stdlib")).parent, *map(Path, sys.path)]
        wanted = {*map(Path, SYSTEM), *(p for p in python if not _holds_more(p, work)), *code}
        return cls([path for path in wanted if path.is_absolute()], code, work)


def _holds_more(path: Path, work: Path) -> bool:
    """A folder of Python's that is a good deal more: someone's home, all of the kit, /tmp."""
    import pwd

    people = [e for e in pwd.getpwall() if e.pw_uid == 0 or 1000 <= e.pw_uid < 65534]
    homes = [Path(entry.pw_dir) for entry in people]
    return any(
        path == one or path in one.parents for one in (paths.KIT, paths.data_dir(), work, *homes)
    )


def enter(jail: Jail) -> None:
    """From here on this process sees and may no more. OSError where that cannot be done.

    The process has one thread yet. Half of it may be done after an error: then it must end.
    """
    uid = uid_of(os.getpid())
    os.umask(0o022)  # the folders on the way are there to be entered
    _give(jail.work, uid)
    libc = ctypes.CDLL(None, use_errno=True)
    _do(libc.unshare, CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET)
    _do(libc.mount, None, b"/", None, MS_REC | MS_PRIVATE, None)
    # Any folder will do to mount on; this one is there, and goes with the process.
    root = jail.work
    with _held(root) as work, contextlib.ExitStack() as stack:
        sources = [(path, stack.enter_context(_held(path))) for path in _outermost(jail.shown)]
        options = b"mode=0755,size=4m,nr_inodes=4k"
        flags = MS_NOSUID | MS_NODEV
        _do(libc.mount, b"drydock", os.fsencode(root), b"tmpfs", flags, options)
        for path, handle in sources:
            _show(libc, root, path, handle, MS_REC, MS_RDONLY)
        _show(libc, root, jail.work, work, 0, 0)
        os.chdir(root)
        _do(libc.mount, None, b".", None, MS_REMOUNT | MS_BIND | MS_RDONLY | flags, None)
        _do(libc.pivot_root, b".", b".")
        _do(libc.umount2, b".", MNT_DETACH)
    os.chdir(paths.KIT)
    _become(libc, uid)


def unreadable(jail: Jail) -> Path | None:
    """The first file of the kit or lab that this process may not read, if there is one."""
    for top in jail.code:
        if top.exists() and not os.access(top, os.R_OK):
            return top
        for place, folders, files in os.walk(top):
            for name in folders:
                if not os.access(Path(place, name), os.R_OK | os.X_OK):
                    return Path(place, name)
            for name in files:
                if not os.access(Path(place, name), os.R_OK):
                    return Path(place, name)
    return None


def _become(libc: ctypes.CDLL, uid: int) -> None:
    import resource

    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    _do(libc.prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_NPROC, (PROCESSES, PROCESSES))


def _give(folder: Path, uid: int) -> None:
    """The kit's own copy, in which no one else writes, becomes the user's."""
    for place, _folders, files in os.walk(folder):
        os.chown(place, uid, uid, follow_symlinks=False)
        for name in files:
            os.chown(Path(place, name), uid, uid, follow_symlinks=False)


def _outermost(shown: Sequence[Path]) -> Iterator[Path]:
    """Those that exist and are not below another one; a link is one of its own."""
    whole: list[Path] = []
    for path in sorted(shown):
        if path.exists() and not any(one in path.parents for one in whole):
            if not path.is_symlink():
                whole.append(path)
            yield path


@contextlib.contextmanager
def _held(path: Path) -> Iterator[int]:
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)


def _show(libc: ctypes.CDLL, root: Path, path: Path, handle: int, depth: int, access: int) -> None:
    """Mount what `handle` is below `root`, at the same path; `depth` is MS_REC or 0."""
    at = root / path.relative_to("/")
    at.parent.mkdir(parents=True, exist_ok=True)
    if stat.S_ISDIR(os.fstat(handle).st_mode):
        at.mkdir(exist_ok=True)
    else:
        at.touch()
    there = os.fsencode(at)
    _do(libc.mount, b"/proc/self/fd/%d" % handle, there, None, MS_BIND | depth, None)
    held = MS_NOSUID | (0 if path.is_relative_to("/dev") else MS_NODEV)
    _do(libc.mount, None, there, None, MS_REMOUNT | MS_BIND | held | access, None)


def _do(call: object, *arguments: object) -> None:
    given = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments]
    if call(*given) != 0:  # type: ignore[operator]
        number = ctypes.get_errno()
        raise OSError(number, f"{call.__name__}: {os.strerror(number)}")  # type: ignore[attr-defined]


def end_all(uid: int) -> None:
    """Kill whatever still runs as a user of `uid_of`: nothing outlives the process of checks."""
    deadline = time.monotonic() + END_SECONDS
    while (left := running_as(uid)) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def running_as(uid: int) -> list[int]:
    """Processes of that user; one that has ended and is not waited for is none."""
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if process.name.isdigit() and process.stat().st_uid == uid:
                state = (process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
                if state not in ("Z", "X"):
                    found.append(int(process.name))
    return found
