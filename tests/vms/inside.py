"""The first process in the namespaces of the tests: brings libvirt up and runs a command.

    unshare --mount --net --pid --fork --mount-proc python -m tests.vms.inside FOLDER -- COMMAND…

Needs no systemd, D-Bus or polkit. libvirt's folders are covered by ones in FOLDER, so that the
system's own libvirt, if there is one, is not touched.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from grader import paths
from tests import home

QEMU = """
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
stdio_handler = "file"
cgroup_controllers = [ ]
namespaces = [ ]
"""
LIBVIRTD = """
auth_unix_rw = "none"
auth_unix_ro = "none"
unix_sock_group = "root"
"""
FOLDERS = ("etc", "var/lib", "run", "var/cache", "var/log")
SOCKET = Path("/run/libvirt/libvirt-sock")
START_SECONDS = 60


def main(argv: list[str]) -> int:
    folder, (_, *command) = Path(argv[0]), argv[1:]
    run("mount", "--make-rprivate", "/")
    run("ip", "link", "set", "lo", "up")
    for name in FOLDERS:
        inside, outside = folder / "libvirt" / name, Path("/", name, "libvirt")
        inside.mkdir(parents=True, exist_ok=True)
        outside.mkdir(parents=True, exist_ok=True)
        run("mount", "--bind", str(inside), str(outside))
    for name in ("etc/libvirt/qemu/networks", "etc/libvirt/storage", "var/lib/libvirt/images"):
        Path("/", name).mkdir(parents=True, exist_ok=True)
    Path("/etc/libvirt/qemu.conf").write_text(QEMU, "utf-8")
    Path("/etc/libvirt/libvirtd.conf").write_text(LIBVIRTD, "utf-8")
    run("libvirtd", "--daemon", "--pid-file", "/run/libvirt/libvirtd.pid")
    deadline = time.monotonic() + START_SECONDS
    while not SOCKET.exists():
        if time.monotonic() > deadline:
            raise SystemExit("libvirtd does not start")
        time.sleep(0.1)
    return reaping(subprocess.Popen(command, env={**os.environ, **environment(folder)}).pid)


def environment(folder: Path) -> dict[str, str]:
    """A Vagrant and a kit that know nothing of the user's own."""
    return {
        "DRYDOCK_VMS": str(folder),
        "DRYDOCK_HOME": str(folder / f"home{home.SUFFIX}"),
        # Where the disk of the machine that grades is; the tests of it use nothing else there.
        "DRYDOCK_VMS_HOME": str(paths.data_dir()),
        "VAGRANT_HOME": str(folder / "vagrant"),
        "VAGRANT_DOTFILE_PATH": str(folder / "dotfile"),
        "VAGRANT_DEFAULT_PROVIDER": "libvirt",
        "VAGRANT_CHECKPOINT_DISABLE": "1",
        "VAGRANT_BOX_UPDATE_CHECK_DISABLE": "1",
        "DRYDOCK_BOX": "drydock/node",
        "DRYDOCK_BOX_VERSION": "1.0.0",
    }


def reaping(pid: int) -> int:
    """Wait for a process as the first one must: whoever lost their parent ends here, too."""
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == pid:
            return os.waitstatus_to_exitcode(status)


def run(*argv: str) -> None:
    subprocess.run(argv, check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
