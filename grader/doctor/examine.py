"""Examines what this machine has and lacks for the kit, what it costs, and how to fix it."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from grader import paths
from grader.doctor import advisories, vagrant
from grader.doctor.finding import Finding, State
from grader.engine import disk, embedded, engine_state, find, packages
from grader.engine.client import Engine
from grader.errors import KitError

DISK_GIB = 8
"""The node image, the image set and some sandboxes."""
MEMORY_GIB = 3
"""What one sandbox may use, at most; three idle nodes take 0.3."""


def examine(url: str | None = None, *, confined: bool) -> list[Finding]:
    """Look at everything; starts, installs and changes nothing.

    `confined` is whether this user's checks would be shut in.
    """
    findings: list[Finding] = []
    engine, finding = _engine(url)
    findings.append(finding)
    if engine is not None:
        findings.append(_guarded("Engine's versions", lambda: _versions(engine)))
    if sys.platform.startswith("linux"):
        findings += [_user_namespaces(engine), _cgroups(), _ip_vs(), _disk_limit(engine)]
    findings += [_space(), _memory(), _confinement(confined)]
    if engine is not None:
        findings.append(_guarded("Node image", lambda: _node_image(engine)))
        findings.append(_guarded("Image set", lambda: _image_set(engine)))
        findings.append(_guarded("Class mirror", lambda: _mirror(engine)))
    return [*findings, *vagrant.findings()]


def complete(findings: list[Finding]) -> bool:
    return all(finding.state != "missing" for finding in findings)


def _guarded(name: str, look: Callable[[], Finding]) -> Finding:
    """A look that fails is a finding as well."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        return look()
    except (DockerException, RequestException, KitError, OSError) as error:
        return Finding(name, "warning", f"unknown: {error}")


def _engine(url: str | None) -> tuple[Engine | None, Finding]:
    name = "Docker engine"
    try:
        engine = find.find(url)
    except KitError as error:
        return None, Finding(name, "missing", error.what, remedy=error.remedy or "")
    if engine is not None:
        how = {
            "option": "as asked",
            "environment": "from DOCKER_HOST",
            "context": "from the current context",
            "embedded": "the kit's own",
        }[engine.origin]
        kinds = {"userns": "users remapped", "container": "ordinary Docker-in-Docker"}
        found = f"{engine.version} at {engine.url} ({how}; {kinds[engine.isolation]})"
        return engine, Finding(name, "ok", found)
    start = "python -m grader engine start"
    if embedded.supported() is None and packages.may_be_root():
        installed = packages.program("dockerd") is not None
        cost = "3 s" if installed else "20 s, 250 MB of packages"
        return None, Finding(
            name, "ok", "none; the kit starts its own when it needs one", cost, start
        )
    said = "none, and the kit cannot start one"
    return None, Finding(name, "missing", said, "", engine_state.REMEDY)


def _versions(engine: Engine) -> Finding:
    with contextlib.closing(engine.client()) as client:
        listed = client.version().get("Components") or []
    versions = {}
    for component in listed:
        details = component.get("Details") or {}
        # Debian tells the package's full version in place of the commit.
        full = str(details.get("GitCommit", ""))
        version = str(component["Version"])
        versions[str(component["Name"]).lower()] = full if full.startswith(version) else version
    versions.setdefault("engine", engine.version)
    found = ", ".join(f"{name} {versions[name]}" for name in ("engine", "runc") if name in versions)
    open_to = [
        f"{advisory.id} ({name}): {advisory.about}"
        for name in ("engine", "runc")
        for advisory in advisories.against(name, versions.get(name, ""))
    ]
    if not open_to:
        return Finding("Engine's versions", "ok", found)
    found += ". By these version numbers it could be affected by\n" + "\n".join(open_to)
    remedy = "Update Docker."
    if any(advisories.patched_by_distribution(version) for version in versions.values()):
        remedy = (
            "Distributions fix old versions: see `apt changelog runc docker.io`; "
            "`apt-get upgrade` gets the fixes."
        )
    return Finding("Engine's versions", "warning", found, remedy=remedy)


def _user_namespaces(engine: Engine | None) -> Finding:
    name = "User namespaces"
    limit = _read("/proc/sys/user/max_user_namespaces")
    if not Path("/proc/self/ns/user").exists() or limit == "0":
        weak = engine is not None and engine.isolation == "container"
        return Finding(
            name,
            "warning" if weak else "missing",
            "the kernel does not have them or does not allow them",
            remedy="sudo sysctl user.max_user_namespaces=100000",
        )
    if engine is not None and engine.isolation == "container":
        return Finding(
            name,
            "warning",
            "yes, but this engine does not remap users: root in a sandbox is root here",
            remedy="Grade submissions of others with --engine embedded.",
        )
    return Finding(name, "ok", "yes")


def _cgroups() -> Finding:
    if Path("/sys/fs/cgroup/cgroup.controllers").is_file():
        have = set(_read("/sys/fs/cgroup/cgroup.controllers").split())
        version = "version 2"
    else:
        lines = _read("/proc/cgroups").splitlines()
        have = {line.split()[0] for line in lines if not line.startswith("#") and line.split()}
        version = "version 1"
    lacking = sorted({"memory", "pids", "cpu"} - have)
    if lacking:
        return Finding(
            "Control groups",
            "warning",
            f"{version} without {', '.join(lacking)}: these limits do not apply to sandboxes",
            remedy="On some machines the boot option cgroup_enable=memory switches memory on.",
        )
    return Finding("Control groups", "ok", f"{version} with memory, pids and cpu")


def _ip_vs() -> Finding:
    name = "ip_vs (routing mesh)"
    if Path("/proc/net/ip_vs").exists() or Path("/sys/module/ip_vs").exists():
        return Finding(name, "ok", "in the kernel")
    if any(Path("/lib/modules").glob("*/kernel/net/netfilter/ipvs/ip_vs.ko*")):
        remedy = "sudo modprobe ip_vs"
        return Finding(name, "optional", "not loaded; engines load it when they may", "", remedy)
    return Finding(
        name,
        "optional",
        "not in the kernel: ports in a swarm's routing mesh do not answer in sandboxes; checks "
        "that need them are not graded and their points are left out",
        remedy="Virtual machines have it: nox -s swarm -- up",
    )


def _disk_limit(engine: Engine | None) -> Finding:
    name = "Disk limit"
    if engine is not None and engine.origin != "embedded":
        return Finding(name, "optional", "only on the kit's own engine (--engine embedded)")
    if disk.possible():
        return Finding(name, "ok", "each node gets a disk of its own on a loop device")
    lacking = packages.missing(["losetup", "mke2fs"])
    why = f"{', '.join(lacking)} missing" if lacking else "only when the kit runs as root"
    remedy = "sudo apt-get install e2fsprogs util-linux" if lacking else ""
    return Finding(name, "optional", why, remedy=remedy)


def _confinement(confined: bool) -> Finding:
    name = "Process of checks"
    if confined:
        return Finding(name, "ok", "isolated: limits, its own user, no files, no network")
    found = "limited, but with the rights of the user who grades"
    if not sys.platform.startswith("linux"):
        return Finding(name, "optional", found, remedy="Grade a class on Linux, as root.")
    remedy = "Grade a class as root: only root can isolate it."
    return Finding(name, "optional", found, remedy=remedy)


def _space() -> Finding:
    folder = paths.data_dir().expanduser()
    existing = next(path for path in [folder, *folder.parents] if path.exists())
    free = shutil.disk_usage(existing).free / 1024**3
    found = f"{free:.0f} GiB free for {folder}"
    if free >= DISK_GIB:
        return Finding("Disk space", "ok", found)
    remedy = "Free some space, or set DRYDOCK_HOME to a folder on a larger disk."
    state: State = "warning" if free >= 2 else "missing"
    return Finding("Disk space", state, found, f"{DISK_GIB} GiB are needed", remedy)


def _memory() -> Finding:
    lines = [line.split() for line in _read("/proc/meminfo").splitlines()]
    sizes = {words[0].rstrip(":"): int(words[1]) for words in lines if len(words) > 1}
    if "MemAvailable" not in sizes:
        return Finding("Memory", "ok", "on the engine's own machine; not checked")
    free = sizes["MemAvailable"] / 1024**2
    found = f"{free:.1f} GiB available"
    if free >= MEMORY_GIB:
        return Finding("Memory", "ok", found)
    state: State = "warning" if free >= 1 else "missing"
    return Finding("Memory", state, found, f"{MEMORY_GIB} GiB are needed", "Close other programs.")


def _node_image(engine: Engine) -> Finding:
    from docker.errors import ImageNotFound

    from grader.engine import node_image

    with contextlib.closing(engine.client()) as client:
        try:
            size = client.images.get(node_image.tag()).attrs["Size"] / 1e6
        except ImageNotFound:
            return Finding(
                "Node image", "ok", "not built yet; built when it is needed", "1 min, 550 MB"
            )
    return Finding("Node image", "ok", f"{node_image.tag()} ({size:.0f} MB)")


def _image_set(engine: Engine) -> Finding:
    from grader.engine import images

    found = images.find(engine)
    build = "python -m grader images build"
    if found is None:
        lacking = "not built yet; built when it is needed"
        return Finding("Image set", "ok", lacking, "some minutes, 3 GB", build)
    what = f"version {found.version}, {len(found.images)} images, {found.protection}"
    return Finding("Image set", "ok", what)


def _mirror(engine: Engine) -> Finding:
    from grader.engine import mirror
    from grader.engine.mirror import origins

    name = "Class mirror"
    if mirror.runs(engine):
        return Finding(name, "ok", "runs; for details: python -m grader engine mirror")
    try:
        names = origins.read().names
    except mirror.Unusable as reason:
        lacking = f"not available on this machine: {reason}"
        return Finding(name, "optional", lacking, "sandboxes have an ordinary network then")
    return Finding(name, "ok", f"starts with the first sandbox; for {', '.join(names)}")


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
