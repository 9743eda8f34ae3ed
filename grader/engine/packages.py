"""Distribution packages, and the settings of this machine's apt and pip."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.console import task
from grader.errors import EngineFault, NoEngine

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Folders that an ordinary user's PATH may not include: dockerd, losetup, ip."""


APT_LOCKED = re.compile(r"Could not get lock|Unable to acquire the dpkg|Unable to lock")
"""What apt and dpkg print while another run of them (for example an automatic upgrade) is not
done."""

APT_PATIENCE = 900.0
"""How many seconds to wait for other runs of apt."""


@dataclass(frozen=True)
class AptSource:
    """One `deb` entry of apt's own configuration."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]


def program(name: str) -> str | None:
    """Path of a program, also searched for in the administrator's folders."""
    return shutil.which(name) or shutil.which(name, path=SYSTEM_PATH)


def is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def invoking_user() -> tuple[int, int] | None:
    """(uid, gid) of the kit's user: who called sudo, otherwise who runs it; None on Windows."""
    if not hasattr(os, "geteuid"):
        return None
    sudo_uid, sudo_gid = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if is_root() and sudo_uid.isdigit() and sudo_gid.isdigit():
        return int(sudo_uid), int(sudo_gid)
    return os.geteuid(), os.getegid()


def may_be_root() -> bool:
    """Whether commands can run as root without a password prompt."""
    if is_root():
        return True
    sudo = program("sudo")
    if sudo is None or not hasattr(os, "geteuid"):
        return False
    try:
        done = subprocess.run(
            [sudo, "-n", "true"], capture_output=True, timeout=20, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def as_root(argv: Sequence[str]) -> list[str]:
    """`argv`, with a `sudo` that does not ask in front of it if the kit is not root itself."""
    command = [program(argv[0]) or argv[0], *argv[1:]]
    if is_root():
        return command
    return [program("sudo") or "sudo", "-n", "--", *command]


def missing(programs: Iterable[str]) -> list[str]:
    return [name for name in programs if program(name) is None]


def can_install() -> bool:
    return program("apt-get") is not None and may_be_root()


def apt_install(packages: Sequence[str], why: str) -> None:
    """Install distribution packages, with a message; `why` completes the sentence for the user.

    Waits for other runs of apt. Raises NoEngine if the user may not, EngineFault if apt fails.
    """
    names = " ".join(packages)
    by_hand = f"sudo apt-get install --no-install-recommends {names}"
    if not can_install():
        raise NoEngine(
            f"The package(s) {names} are needed {why}, and the kit cannot install them here.",
            remedy=f"Ask an administrator to run: {by_hand}",
        )
    with task(f"Installing {names} with apt ({why})") as detail:
        base = ["env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8", "apt-get", "-q", "-y"]
        install = as_root([*base, "install", "--no-install-recommends", *packages])
        # The lists may be missing or old: refresh them first, go on with old ones if that fails.
        run_apt(as_root([*base, "update"]), detail)
        rc, lines = run_apt(install, detail)
    if rc != 0:
        raise EngineFault(
            f"apt could not install {names}:\n" + "\n".join(lines[-8:]),
            remedy=f"Run it yourself: {by_hand}",
        )


def run_apt(argv: Sequence[str], detail: object) -> tuple[int, list[str]]:
    """Like `run_lines`, but try again while another run of apt holds a lock."""
    until = time.monotonic() + APT_PATIENCE
    while True:
        rc, lines = run_lines(argv, detail)
        locked = any(APT_LOCKED.search(line) for line in lines)
        if rc == 0 or not locked or time.monotonic() > until:
            return rc, lines
        if callable(detail):
            detail("waiting for another run of apt to end")
        time.sleep(1)


def run_lines(
    argv: Sequence[str], detail: object, stop: threading.Event | None = None
) -> tuple[int, list[str]]:
    """Run a command and pass each line to `detail`; return exit code and all lines.

    It is ended once `stop` is set, also while it prints nothing.
    """
    lines: list[str] = []
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stdout is not None
        if stop is not None:
            threading.Thread(target=_end_at, args=(stop, process), daemon=True).start()
        for line in process.stdout:
            lines.append(line.rstrip())
            if callable(detail):
                detail(lines[-1])
    return process.returncode, lines


def _end_at(stop: threading.Event, process: subprocess.Popen[str]) -> None:
    while process.poll() is None:
        if stop.wait(0.2):
            try:
                process.terminate()
            except PermissionError:  # It is a sudo, which passes the signal on.
                subprocess.run(as_root(["kill", str(process.pid)]), stdin=subprocess.DEVNULL)
            return


def apt_mirrors(etc: Path = Path("/etc/apt")) -> list[AptSource]:
    """The `deb` sources of apt's own configuration, in both of its formats; [] without apt."""
    found: list[AptSource] = []
    folder = etc / "sources.list.d"
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    for path in [etc / "sources.list", *files]:
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if path.suffix == ".sources":
            found += _deb822(text)
        elif path.suffix == ".list":
            found += _one_line(text)
    return found


def _deb822(text: str) -> list[AptSource]:
    found = []
    for stanza in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        key = ""
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in (" ", "\t") and key:
                fields[key] += "\n" + line.strip()
            elif ":" in line:
                key, value = line.split(":", 1)
                key = key.strip().lower()
                fields[key] = value.strip()
        if "deb" not in fields.get("types", "").split():
            continue
        if fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        found.append(
            AptSource(
                tuple(fields.get("uris", "").split()),
                tuple(fields.get("suites", "").split()),
                tuple(fields.get("components", "").split()),
            )
        )
    return found


def _one_line(text: str) -> list[AptSource]:
    found = []
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)([^#]*)", line)
        if match:
            uri, suite, components = match.groups()
            found.append(AptSource((uri,), (suite,), tuple(components.split())))
    return found


def debian_mirror(etc: Path = Path("/etc/apt"), os_release: Path | None = None) -> str | None:
    """The mirror from which this machine gets Debian itself; None if it is not a Debian."""
    release = os_release_fields(os_release)
    if release.get("ID") != "debian":
        return None
    codename = release.get("VERSION_CODENAME")
    for source in apt_mirrors(etc):
        if "main" in source.components and (codename is None or codename in source.suites):
            for uri in source.uris:
                if uri.startswith(("http://", "https://", "file:", "copy:")):
                    return uri
    return None


def suite_sources(
    suite: str, etc: Path = Path("/etc/apt"), os_release: Path | None = None
) -> list[list[str]]:
    """Sources for a Debian `suite` from this machine's own servers, the best first.

    Each is a list of lines for mmdebstrap; [] means its own choice.
    """
    mirror = debian_mirror(etc, os_release)
    if mirror is None:
        return [[]]
    own = os_release_fields(os_release).get("VERSION_CODENAME", "")
    lines = [f"deb {mirror} {suite} main", f"deb {mirror} {suite}-updates main"]
    for source in apt_mirrors(etc):
        if own and f"{own}-security" in source.suites:
            lines += [f"deb {uri} {suite}-security main" for uri in source.uris[:1]]
    return [lines, lines[:1], []]


def os_release_fields(path: Path | None = None) -> dict[str, str]:
    """The fields of /etc/os-release; {} where there is none (macOS, Windows)."""
    path = path or Path("/etc/os-release")
    if not path.is_file():
        return {}
    pairs = (line.split("=", 1) for line in path.read_text("utf-8").splitlines() if "=" in line)
    return {key.strip(): value.strip().strip("\"'") for key, value in pairs}


def apt_proxies() -> dict[str, str]:
    """Apt's own proxy settings: {"Acquire::http::Proxy": URL, …}, {} without any."""
    config = program("apt-config")
    if config is None:
        return {}
    done = subprocess.run(
        [config, "dump", "--format", "%F=%v%n"], capture_output=True, encoding="utf-8", timeout=20
    )
    pairs = (line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    return {
        key: value
        for key, value in pairs
        if re.fullmatch(r"Acquire::https?::Proxy", key) and value and value != "DIRECT"
    }


def pip_site_config() -> dict[str, str]:
    """pip's own settings on this machine: {"index-url": …, "cert": …, …} ({} for none).

    pip itself is asked, so its files and the environment count as they do for pip.
    """
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=60,
    )
    found: dict[str, dict[str, str]] = {}
    for line in done.stdout.splitlines():
        match = re.fullmatch(r"([\w:.-]+?)\.([\w-]+)=(['\"])(.*)\3", line.strip())
        if match:
            found.setdefault(match.group(1), {})[match.group(2)] = match.group(4)
    return {
        **found.get("global", {}),
        **found.get("install", {}),
        **found.get(":env:", {}),
    }


def pip_defaults() -> tuple[str, str]:
    """pip's built-in index, and the server of its files (URLs); "" if pip does not reveal them."""
    code = (
        "from pip._internal.models.index import PyPI as own;"
        " print(own.simple_url); print('https://' + own.file_storage_domain)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", timeout=60
    )
    told = done.stdout.split()
    return (told[0], told[1]) if len(told) == 2 else ("", "")


def debian_domain(os_release: Path | None = None) -> str | None:
    """The domain of Debian's own servers, from a Debian's files; None elsewhere."""
    release = os_release_fields(os_release)
    home = re.fullmatch(r"https?://(?:www\.)?([a-z0-9.-]+)/?", release.get("HOME_URL", ""))
    return home[1] if home and release.get("ID") == "debian" else None


def ca_bundle() -> Path | None:
    """The certificates that this machine trusts, as one PEM file; None where there is none."""
    named = [os.environ.get("SSL_CERT_FILE"), os.environ.get("REQUESTS_CA_BUNDLE")]
    usual = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"]
    for name in [*named, *usual]:
        if name and Path(name).is_file():
            return Path(name)
    return None
