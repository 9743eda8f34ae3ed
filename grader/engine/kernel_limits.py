"""Kernel limits that all nodes share because the kernel charges the host's root.

A user namespace's owner is charged for what is used in it, and all nodes belong to the host's root:
inotify instances (128 by default), pending signals, message queues. Open files and asynchronous I/O
are counted for the whole machine. Without these limits, a plain container could use up everything
that root has, and so everything that the other sandboxes have.

A namespace's count exists for each of its users, and a node's root can become any of 65536 users.
So a limit inside restricts each user only. Root's own share is safe because the machine's limit is
out of reach: these resources need memory, and the node's cgroup limits its memory.
"""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from grader.engine import packages
from grader.errors import EngineFault

if TYPE_CHECKING:
    from grader.engine.client import Engine

OUT_OF_REACH = 2**31 - 1
SHARED = {
    "fs/inotify/max_user_instances": OUT_OF_REACH,
    "fs/inotify/max_user_watches": OUT_OF_REACH,
    "fs/fanotify/max_user_groups": OUT_OF_REACH,
    "fs/fanotify/max_user_marks": OUT_OF_REACH,
    "fs/aio-max-nr": OUT_OF_REACH,
    "fs/file-max": OUT_OF_REACH,
    # Each container has a key of its own, and nodes may have their users in common. These
    # need memory that no cgroup counts: no more than some megabytes.
    "kernel/keys/maxkeys": 20_000,
    "kernel/keys/maxbytes": 2_000_000,
}
"""Below /proc/sys, with what they are at least; each is one number for all of root's namespaces,
for all of the machine, or for a user."""

NODE = {
    "max_inotify_instances": 128,
    "max_inotify_watches": 65536,
    "max_fanotify_groups": 16,
    "max_fanotify_marks": 8192,
    "max_user_namespaces": 1000,
    "max_mnt_namespaces": 2000,
    "max_net_namespaces": 2000,
    "max_pid_namespaces": 2000,
    "max_ipc_namespaces": 2000,
    "max_uts_namespaces": 2000,
    "max_cgroup_namespaces": 2000,
    "max_time_namespaces": 2000,
}
"""Below /proc/sys/user, of each user in a node. The node's root cannot change them: it has no
CAP_SYS_RESOURCE, and a namespace that it makes has the node's limits above its own."""

SCRIPT = 'cd /proc/sys/user; for w; do [ ! -e "${w%%=*}" ] || echo "${w#*=}" > "${w%%=*}"; done'


def raise_shared(proc: Path = Path("/proc/sys")) -> None:
    """Raise the machine's own limits beyond a node's reach; they are never lowered again."""
    for name, least in SHARED.items():
        # An older kernel has not all of them, and /proc/sys may be read-only: `node` still counts.
        with contextlib.suppress(OSError, ValueError):
            if int((proc / name).read_text(encoding="utf-8")) < least:
                (proc / name).write_text(f"{least}\n", encoding="utf-8")


def halve_pending(process: int) -> None:
    """Keep half of root's pending signals and message queues free from the engine `process`: a
    user namespace has its maker's limits, for all namespaces together."""
    import resource

    for what in (resource.RLIMIT_SIGPENDING, resource.RLIMIT_MSGQUEUE):
        soft, hard = resource.prlimit(process, what)
        if soft != resource.RLIM_INFINITY:
            resource.prlimit(process, what, (soft // 2, hard if hard < 0 else soft // 2))


def limit_node(engine: Engine, process: int) -> None:
    """Limit the node whose first process on this machine is `process`. Raises EngineFault.

    It does nothing if the kit is not root on its own engine, or without user namespaces.
    """
    # 0: it has ended already, and who waits for it says why.
    if process == 0 or not packages.is_root():
        return
    if engine.origin != "embedded" or engine.isolation != "userns":
        return
    raise_shared()
    nsenter = packages.program("nsenter")
    if nsenter is None:
        raise EngineFault("nsenter is needed to limit nodes.", remedy="Install util-linux.")
    # Inside the namespace the host's root has all rights, CAP_SYS_RESOURCE as well.
    words = [f"{name}={value}" for name, value in NODE.items()]
    done = subprocess.run(
        [nsenter, "--user", f"--target={process}", "sh", "-ec", SCRIPT, "sh", *words],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=30,
    )
    if done.returncode != 0 and Path(f"/proc/{process}").exists():
        raise EngineFault(f"A node's limits cannot be set: {done.stderr.strip()}")
