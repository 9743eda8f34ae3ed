"""Vagrant and its providers: for the class's real VMs, not needed for grading in sandboxes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from grader.engine import packages

if TYPE_CHECKING:
    from grader.doctor.finding import Finding


def findings() -> list[Finding]:
    from grader.doctor.finding import Finding

    path = packages.program("vagrant")
    if path is None:
        linux = sys.platform.startswith("linux") and packages.program("apt-get") is not None
        remedy = (
            "sudo apt-get install vagrant vagrant-libvirt libvirt-daemon-system qemu-system-x86"
            if linux
            else "Install Vagrant and VirtualBox from their own sites."
        )
        return [
            Finding(
                "Vagrant (VMs for class)",
                "optional",
                "not installed; only `nox -s swarm` needs it",
                "20 s, 400 MB of packages" if linux else "",
                remedy,
            )
        ]
    return [Finding("Vagrant (VMs for class)", "ok", _version(path)), _providers(), _kvm()]


def _version(path: str) -> str:
    try:
        done = subprocess.run(
            [path, "--version"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=60,
            env={**os.environ, "VAGRANT_CHECKPOINT_DISABLE": "1"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return "installed, but does not answer"
    return done.stdout.strip() or "there"


def _providers() -> Finding:
    from grader.doctor.finding import Finding

    found = []
    if packages.program("VBoxManage"):
        found.append("VirtualBox")
    if packages.program("libvirtd") or packages.program("virsh"):
        found.append("libvirt")
    if found:
        return Finding("Vagrant's providers", "ok", ", ".join(found))
    return Finding(
        "Vagrant's providers",
        "optional",
        "neither VirtualBox nor libvirt",
        remedy="sudo apt-get install vagrant-libvirt libvirt-daemon-system qemu-system-x86",
    )


def _kvm() -> Finding:
    from grader.doctor.finding import Finding

    name = "Hardware virtualisation"
    if not sys.platform.startswith("linux"):
        return Finding(name, "ok", "up to the provider")
    device = Path("/dev/kvm")
    if device.exists() and os.access(device, os.R_OK | os.W_OK):
        return Finding(name, "ok", "/dev/kvm can be opened")
    return Finding(
        name,
        "optional",
        "/dev/kvm cannot be used: VMs are emulated, and three of them take minutes to start",
        remedy="sudo adduser $USER kvm" if device.exists() else "Switch it on in the firmware.",
    )
