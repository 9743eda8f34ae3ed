"""Runs the `vagrant` command in the kit's folder; its answers as data, its errors explained."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from grader import paths
from grader.engine import packages
from grader.errors import EngineFault, KitError
from grader.machines.provider import Progress

ASK_SECONDS = 120
KEPT_LINES = 60
BUSY = "another process is already executing|locked by another|LockedError|because it is locked"
BUSY_SECONDS = 20
"""Usually another `vagrant` process only reads, too, and ends in a moment."""


@dataclass(frozen=True)
class Trouble:
    """An error that is explained: `pattern` is searched for in vagrant's output."""

    pattern: str
    what: str
    remedy: str


TROUBLES = (
    Trouble(
        "VT-x is (disabled|not available)|AMD-V is (disabled|not available)|VERR_VMX|VERR_SVM",
        "This computer's processor does not let VirtualBox run machines.",
        "Switch virtualisation on in its firmware (Intel: VT-x, AMD: SVM). On Windows, Hyper-V may"
        " hold it: switch off “Virtual Machine Platform” and restart.",
    ),
    Trouble(
        "VERR_NEM|Hyper-V",
        "VirtualBox and Hyper-V do not work at the same time.",
        "Switch off Hyper-V and “Virtual Machine Platform” in Windows' features and restart.",
    ),
    Trouble(
        "not within the\\s+allowed ranges",
        "VirtualBox does not allow the machines' addresses 192.168.56.0/24.",
        "Add the line `* 192.168.56.0/24` to /etc/vbox/networks.conf.",
    ),
    Trouble(
        "network is already in use by interface|collides with|already exists with the same|"
        "Network .* overlaps|is already in use by",
        "Another network on this computer has the addresses 192.168.56.0/24.",
        "Remove it (VirtualBox: File → Tools → Network Manager; libvirt: `virsh net-list --all`).",
    ),
    Trouble(
        "Box '?.*'? could not be found|could not be located|Couldn't open file .*box|"
        "Failed to download|Could not resolve host|resolve host",
        "The machines' box is not on this computer, and cannot be fetched.",
        "Connect to the network, or add the box by hand: vagrant/box/README.md.",
    ),
    Trouble(
        "Cannot allocate memory|not enough memory|VERR_NO_MEMORY|cannot set up guest memory|"
        "out of memory",
        "There is not enough memory for the machines.",
        "Close other programs, or lower `memory` in vagrant/nodes.yaml (512 is the least).",
    ),
    Trouble(
        "No space left on device|ENOSPC",
        "The disk is full.",
        "The box and the machines need some gigabytes: free some space and try again.",
    ),
    Trouble(
        "No usable default provider|provider .* could not be found|provider .* (is )?not usable|"
        "VBoxManage.*(not found|could not be found)",
        "Vagrant has no provider for machines.",
        "Install VirtualBox; on Linux also libvirt: sudo apt-get install vagrant-libvirt"
        " libvirt-daemon-system qemu-system-x86.",
    ),
    Trouble(
        "Call to virConnectOpen failed|Failed to connect socket to '/var/run/libvirt",
        "The libvirt service does not run, or you may not use it.",
        "sudo systemctl start libvirtd; sudo adduser $USER libvirt, and log in again.",
    ),
    Trouble(
        "Could not access KVM kernel module|failed to initialize kvm|"
        "kvm.*(Permission denied|not supported)|domain type .*kvm|failed to set MSR",
        "Hardware virtualisation (KVM) does not work here.",
        "Emulation works, slowly: set DRYDOCK_EMULATE=1 and try again.",
    ),
    Trouble(
        "Timed out while waiting for the machine to boot",
        "A machine did not start in time.",
        "Start it again: vagrant halt -f NAME, then vagrant up NAME. If the computer swaps, lower"
        " `memory` in vagrant/nodes.yaml.",
    ),
    Trouble(
        BUSY,
        "Another `vagrant` is using these machines.",
        "Wait until it has ended.",
    ),
)


def environment() -> dict[str, str]:
    """The environment for Vagrant. It does not look for updates, because a class may be offline."""
    return {
        **os.environ,
        "VAGRANT_CHECKPOINT_DISABLE": "1",
        "VAGRANT_BOX_UPDATE_CHECK_DISABLE": "1",
    }


def program() -> str:
    found = packages.program("vagrant")
    if found is None:
        raise KitError(
            "Vagrant is not installed.",
            remedy="`python -m grader doctor` shows how. Without Vagrant: nox -s swarm -- up "
            "--provider"
            " containers.",
        )
    return found


def ask(*words: str, seconds: float = ASK_SECONDS) -> str:
    """The output of `vagrant WORDS`. Raises KitError if it fails and waiting a moment does not
    help."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        done = _run(words, seconds)
        if done.returncode == 0:
            return done.stdout
        said = done.stdout + done.stderr
        if not re.search(BUSY, said, re.IGNORECASE) or time.monotonic() > deadline:
            raise explain(words, said)
        time.sleep(1)


def _run(words: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [program(), *words],
            cwd=paths.KIT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise EngineFault(f"`vagrant {words[0]}` has not answered for {seconds:.0f} s.") from None


def act(*words: str, progress: Progress, extra: dict[str, str] | None = None) -> None:
    """Run `vagrant WORDS` and print each of its lines. Raises KitError if it fails.

    On Ctrl-C vagrant receives it, too, and ends cleanly.
    """
    process = subprocess.Popen(
        [program(), *words],
        cwd=paths.KIT,
        env={**environment(), **(extra or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    assert process.stdout is not None
    said: list[str] = []
    try:
        for line in process.stdout:
            text = cleaned(line)
            if text:
                said = [*said[1 - KEPT_LINES :], text]
                progress(text)
        process.wait()
    except BaseException:
        process.terminate()
        process.wait(timeout=300)
        raise
    if process.returncode != 0:
        raise explain(words, "\n".join(said))


def cleaned(line: str) -> str:
    """A line without control characters; empty for the many lines that only show a percentage."""
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", line).split("\r")[-1].rstrip()
    return "" if re.match(r"\s*(Progress: )?\d+%", text) or text.startswith("Progress:") else text


def explain(words: Sequence[str], said: str) -> KitError:
    for trouble in TROUBLES:
        if re.search(trouble.pattern, said, re.IGNORECASE):
            return EngineFault(trouble.what, remedy=trouble.remedy)
    # Some errors come with a traceback of Ruby's, which tells a class nothing.
    lines = [x for x in said.splitlines() if x.strip() and not re.search(r"\.rb:\d+:in `", x)]
    return EngineFault(
        f"`vagrant {' '.join(words)}` failed:\n" + "\n".join(lines[-8:]),
        remedy="docs/classroom.md lists common problems.",
    )


def states() -> dict[str, str]:
    """The state of each machine by name, for example "running"."""
    rows = (line.split(",", 3) for line in ask("status", "--machine-readable").splitlines())
    return {row[1]: row[3] for row in rows if len(row) == 4 and row[1] and row[2] == "state"}


def ssh_configs(*names: str) -> dict[str, dict[str, str]]:
    """How Vagrant logs in to running machines: HostName, Port, User, IdentityFile, … by name.

    It asks once, because each start of Vagrant takes seconds. Without names it asks about all
    machines, and raises KitError if one of them does not run.
    """
    return parse_configs(ask("ssh-config", *names))


def parse_configs(text: str) -> dict[str, dict[str, str]]:
    """The tables of an ssh_config by the names of their hosts."""
    found: dict[str, dict[str, str]] = {}
    table: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.strip().partition(" ")
        value = value.strip().strip('"')
        if key == "Host":
            table = found.setdefault(value, {})
        if value:
            table.setdefault(key, value)
    return found
