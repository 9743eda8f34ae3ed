"""ssh_config files of the kit, as OpenSSH itself understands them, and its errors in words."""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from grader.machines import access, diagnosis, link, ssh_files
from grader.machines.access import Access

MACHINE = Access(
    name="worker1",
    host="192.0.2.12",
    address="10.0.0.12",
    user="student",
    known_hosts="/keys of 100%/known",
    port=2222,
    identity="/keys of 100%/id",
    host_key_name="worker1",
)


def understood(file: Path, name: str) -> dict[str, str]:
    """What OpenSSH makes of the file for a machine."""
    ssh = shutil.which("ssh")
    if ssh is None:
        pytest.skip("OpenSSH's client is not installed")
    said = subprocess.run(
        [ssh, "-G", "-F", str(file), name], check=True, capture_output=True, text=True
    )
    return dict(line.split(" ", 1) for line in said.stdout.splitlines() if " " in line)


def test_openssh_reads_what_was_meant(tmp_path: Path) -> None:
    file = tmp_path / "config"
    access.write_config(file, [replace(MACHINE, name="manager1"), MACHINE], tmp_path)
    found = understood(file, "worker1")

    assert found["hostname"] == "192.0.2.12"
    assert found["port"] == "2222"
    assert found["user"] == "student"
    assert found["hostkeyalias"] == "worker1"
    assert found["batchmode"] == "yes"
    # Host keys are checked, never taken.
    assert found["stricthostkeychecking"] in ("true", "yes")
    assert "/keys of 100" in found["userknownhostsfile"]
    assert found["identitiesonly"] == "yes"
    assert found["controlpath"] == str(tmp_path / "worker1.ssh")


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX'")
def test_only_its_owner_can_read_the_file(tmp_path: Path) -> None:
    file = tmp_path / "config"
    access.write_config(file, [MACHINE])

    assert file.stat().st_mode & 0o077 == 0


def test_lasting_files_have_names_in_nobodys_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRYDOCK_HOME", str(tmp_path))

    assert ssh_files.docker_host("hosts", [MACHINE], "worker1") == "ssh://drydock-worker1"
    assert understood(ssh_files.folder("hosts") / "config", "drydock-worker1")["port"] == "2222"
    own = tmp_path / "own"
    own.write_text(f"Host x\n\n{ssh_files.include('hosts')}\n", "utf-8")
    assert ssh_files.included("hosts", own)
    assert not ssh_files.included("vagrant", own)
    assert not ssh_files.included("hosts", tmp_path / "none")


@pytest.mark.parametrize(
    ("said", "what", "remedy"),
    [
        ("ssh: connect to host 192.0.2.12 port 2222: Connection refused", "port 2222", "SSH"),
        ("ssh: connect to host 192.0.2.12 port 2222: No route to host", "reached", "it is on"),
        ("ssh: connect to host h port 22: Connection timed out", "reached", "firewall"),
        ("student@192.0.2.12: Permission denied (publickey).", "student", "ssh-copy-id"),
        ("Host key verification failed.", "not known yet", "--provider hosts"),
        (
            "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
            "another host key",
            "ssh-keygen -R",
        ),
        (
            "ssh: Could not resolve hostname lab: Name or service not known",
            "cannot be resolved",
            "spelling",
        ),
        ("Bad permissions. UNPROTECTED PRIVATE KEY FILE!", "other users can read", "chmod 600"),
    ],
)
def test_openssh_errors_become_sentences(said: str, what: str, remedy: str) -> None:
    told, advice = diagnosis.explain(diagnosis.SSH, said, MACHINE)

    assert told.startswith("worker1: ")
    assert what in told
    assert advice is not None
    assert remedy in advice


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ("bash: line 1: docker: command not found", "no Docker engine"),
        (
            "Got permission denied while trying to connect to the Docker daemon socket",
            "may not use",
        ),
        (
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock."
            " Is the docker daemon running?",
            "does not run",
        ),
    ],
)
def test_engine_errors_become_sentences(said: str, what: str) -> None:
    told, advice = diagnosis.explain(diagnosis.ENGINE, said, MACHINE)

    assert what in told
    assert advice


def test_what_nobody_foresaw_is_told_as_it_is() -> None:
    told, advice = diagnosis.explain(diagnosis.SSH, "first\nsomething new", MACHINE)

    assert told == "worker1 (192.0.2.12): something new"
    assert advice is None


@pytest.mark.parametrize(
    ("version", "old"),
    [("18.09.1", True), ("19.03.15", True), ("20.10.24+dfsg1", False), ("26.1.5", False)],
)
def test_an_old_engine_is_named_with_what_to_do(version: str, old: bool) -> None:
    found = link.too_old("worker1", version)

    assert (found is not None) == old
    if found is not None:
        assert version in found.what
        assert found.remedy
