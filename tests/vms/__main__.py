"""Set-up of the tests on virtual machines; see the package's docstring."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from grader import paths
from grader.classroom.guest import disk as guest_disk
from grader.classroom.guest import machine as guest_machine
from grader.console import say
from grader.engine import packages
from grader.errors import KitError
from tests import home

PROGRAMS = {
    "vagrant": "vagrant",
    "libvirtd": "libvirt-daemon-system",
    "virsh": "libvirt-clients",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "dnsmasq": "dnsmasq-base",
    "unshare": "util-linux",
    "ip": "iproute2",
    "iptables": "iptables",
    "ssh": "openssh-client",
}
PLUGIN = "vagrant-libvirt"
EVERYTHING = "--everything"
EXERCISES = ("webserver", "swarm", "rollout")


def main(argv: list[str]) -> int:
    if not (sys.platform.startswith("linux") and packages.is_root()):
        raise KitError(
            "The tests on virtual machines need Linux, and root.",
            remedy="sudo nox -s vm_tests; the other tests (nox -s tests) do not.",
        )
    home.enter()
    began = time.monotonic()
    install()
    # Not /tmp, which may be memory: the machines' disks are in there.
    with tempfile.TemporaryDirectory(prefix="drydock-vms-", dir="/var/tmp") as folder:
        # Minutes of building, for tests that are left out where processors are emulated.
        if EVERYTHING in argv or guest_machine.may_have_kvm():
            guest_disk.ensure()
        build_box(Path(folder, "box"))
        say(f"The box is built: {time.monotonic() - began:.0f} s.")
        return run_inside(Path(folder), argv)


def install() -> None:
    wanted = {PROGRAMS[program] for program in packages.missing(PROGRAMS)}
    if not list(Path("/usr/share/rubygems-integration").glob(f"*/gems/{PLUGIN}-*")):
        wanted.add(PLUGIN)
    if wanted:
        packages.apt_install(sorted(wanted), "for virtual machines")


def build_box(folder: Path) -> None:
    wanted = [word for name in EXERCISES for word in ("--exercise", name)]
    subprocess.run(
        [sys.executable, "-m", "grader", "box", str(folder), *wanted], cwd=paths.KIT, check=True
    )


def run_inside(place: Path, argv: list[str]) -> int:
    """Run pytest in namespaces that end, with all that is in them, when it ends."""
    namespaces = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    inner = [sys.executable, "-m", "tests.vms.inside", str(place)]
    pytest = [sys.executable, "-m", "pytest", "tests/vms", *argv]
    return subprocess.run(
        ["unshare", *namespaces, *inner, "--", *pytest], cwd=paths.KIT, check=False
    ).returncode


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KitError as error:
        say(str(error))
        sys.exit(error.exit_code)
