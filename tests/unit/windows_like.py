"""Python as it is on Windows, as far as Linux can show it: put on PYTHONPATH as sitecustomize.py.

What POSIX alone has is not there: for the kit its modules, for everybody what os, signal and socket
have of it. So it is for the kit's own child processes, too.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

MODULES = {"fcntl", "grp", "pwd", "pty", "resource", "syslog", "termios", "tty"}
MISSING = {
    os: (
        *("chown", "chroot", "fork", "forkpty", "getegid", "geteuid", "getgid", "getgroups"),
        *("getpgid", "getuid", "killpg", "lchown", "mkfifo", "mknod", "nice", "setegid", "seteuid"),
        *("setgid", "setsid", "setuid", "statvfs", "sysconf", "uname", "getloadavg"),
        *("sched_getaffinity", "O_NOFOLLOW"),
    ),
    signal: ("SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGALRM", "alarm", "pause"),
    socket: ("AF_UNIX",),
}

KIT = tuple(str(Path(os.environ["DRYDOCK_TEST_KIT"], name)) + os.sep for name in ("grader", "labs"))
"""Not the whole clone: nox puts the libraries into it."""
real_import = builtins.__import__


def on_windows(
    name: str,
    globals: Mapping[str, object] | None = None,
    locals: Mapping[str, object] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    asked_by = str((globals or {}).get("__file__") or "")
    if name in MODULES and asked_by.startswith(KIT):
        raise ModuleNotFoundError(f"No module named {name!r} (as on Windows)", name=name)
    return real_import(name, globals, locals, fromlist, level)


# Libraries that choose by the system what they import have chosen by then.
for library in ("platformdirs", "send2trash"):
    with contextlib.suppress(ImportError):
        importlib.import_module(library)
builtins.__import__ = on_windows
for module, names in MISSING.items():
    for missing in names:
        if hasattr(module, missing):
            delattr(module, missing)
