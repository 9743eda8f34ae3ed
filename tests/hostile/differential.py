"""The kit's reading of compose files against Compose's own, over generated documents.

What the kit's vetting takes is read by Compose as it would be started, and looked at by an oracle
that shares no code with the vetting: nothing that is dangerous may be left in it.

    python -m tests.hostile.differential 5000
"""

from __future__ import annotations

import json
import shlex
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings

from grader.errors import Refused
from grader.modules.compose import ComposeProject
from grader.modules.submitted import dockerfiles
from grader.nodes.node import Node
from grader.vetting import compose, environment, resolved
from grader.vetting.compose import ComposeFile
from tests import home
from tests.hostile.documents import Document, documents

ROOT = "/drydock/differential"
PLACE = "/drydock/.pinned"
IMAGES = frozenset({"redis:7", "alpine:3"})
BATCH = 50
SAFE_CAPABILITIES = frozenset({"CHOWN"})
"""Of the generator's, the one that a container has anyway."""


@dataclass
class Report:
    """How many documents came out how; `faults` are documents that got through, with why."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(self.outcomes.values())

    @property
    def in_words(self) -> str:
        told = ", ".join(f"{number} {name}" for name, number in self.outcomes.most_common())
        return f"{self.count} documents: {told}"


def generated(count: int) -> list[Document]:
    """So many documents, the same ones each time."""
    made: dict[Document, None] = {}

    @settings(
        # Some come twice.
        max_examples=count + count // 3,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(documents())
    def collect(document: Document) -> None:
        made[document] = None

    collect()
    return list(made)[:count]


def run(node: Node, count: int) -> Report:
    """Generate `count` documents and compare the readings, BATCH at a time."""
    report = Report()
    made = generated(count)
    for begin in range(0, len(made), BATCH):
        with tempfile.TemporaryDirectory(prefix="drydock-") as folder:
            compare(node, made[begin : begin + BATCH], Path(folder), report)
        if sys.stderr.isatty():
            print(report.in_words, end="\r", file=sys.stderr)
    return report


def compare(node: Node, made: Sequence[Document], folder: Path, report: Report) -> None:
    """Lay the documents out, vet them, let Compose read them, and look at what would be started."""
    taken: dict[int, ComposeFile] = {}
    for number, document in enumerate(made):
        place = folder / str(number) / "work"
        for name, content in {**dict(document.files), **_beside()}.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(content)
        try:
            file = compose.read(place, "work")
            file.refuse_images(IMAGES)
            dockerfiles(place, file, IMAGES)
        except Refused:
            report.outcomes["refused as text"] += 1
        else:
            taken[number] = file
    node.run(["rm", "-rf", ROOT], timeout=60)
    node.put(folder, ROOT)
    written = {number: _project(node, number, file.files, file) for number, file in taken.items()}
    documented: dict[int, str] = {}
    for number, answer in _configs(node, written):
        if answer is None:
            report.outcomes["refused by Compose"] += 1
            continue
        file, root = taken[number], written[number].folder
        try:
            read = resolved.compose(answer, file, root)
            read.file.refuse_images(IMAGES)
            builds = dockerfiles(folder / str(number) / "work", read.file, IMAGES)
        except Refused:
            report.outcomes["refused as Compose reads it"] += 1
            continue
        places = {path: f"{PLACE}/{index}" for index, path in enumerate(read.paths)}
        named = {path: f"{PLACE}/{path}" for path in map(PurePosixPath, builds)}
        documented[number] = read.text(places, named)
    node.put({f"{n}/document.json": text.encode() for n, text in documented.items()}, ROOT)
    started = {
        number: _project(node, number, ["../document.json"], taken[number]) for number in documented
    }
    for number, answer in _configs(node, started):
        if answer is None:
            report.outcomes["not read again"] += 1
            report.faults.append(f"Compose cannot read what the kit wrote of\n{made[number]!r}")
            continue
        report.outcomes["taken"] += 1
        for danger in dangers(json.loads(answer)):
            report.faults.append(f"{danger} got through in\n{made[number]!r}")


def _beside() -> dict[str, bytes]:
    return {"Dockerfile": b"FROM redis:7\n", "site/x": b"x\n", "a/b/x": b"x\n"}


def _project(node: Node, number: int, files: Sequence[str], file: ComposeFile) -> ComposeProject:
    place = f"{ROOT}/{number}/work"
    return ComposeProject(node, "work", place, [f"{place}/{n}" for n in files], file.env_file)


def _configs(node: Node, projects: dict[int, ComposeProject]) -> Iterator[tuple[int, str | None]]:
    """What Compose makes of each project, None where it refuses; all in one command."""
    lines = []
    for number, project in projects.items():
        answer = f"{ROOT}/{number}/answer.json"
        argv = environment.argv(
            project.command("config", "--format", "json", "--output", answer), project.folder
        )
        lines.append(f"rm -f {answer}; cd {project.folder}; {shlex.join(argv)} > /dev/null 2>&1")
        lines.append(f"echo {number} $?; cat {answer} 2> /dev/null | tr -d '\\n'; echo")
    node.put({"all.sh": "\n".join(lines).encode()}, ROOT)
    done = node.run(["sh", f"{ROOT}/all.sh"], timeout=600, keep=100_000_000)
    told = done.out.split("\n")
    for head, answer in zip(told[::2], told[1::2], strict=False):
        which, code = head.split()
        yield int(which), answer if code == "0" else None


def dangers(document: dict[str, Any]) -> Iterator[str]:
    """What in a document reaches out of its containers; without any code of the vetting's."""
    for name, service in document["services"].items():
        for key in ("privileged", "cgroup_parent", "devices", "volumes_from", "runtime"):
            if service.get(key):
                yield f"{name}.{key} = {service[key]!r}"
        for key in ("pid", "ipc", "uts", "network_mode", "userns_mode", "cgroup"):
            if str(service.get(key) or "").startswith(("host", "container:")):
                yield f"{name}.{key} = {service[key]!r}"
        if set(service.get("cap_add") or ()) - SAFE_CAPABILITIES:
            yield f"{name}.cap_add = {service['cap_add']!r}"
        if any(not o.startswith("no-new-priv") for o in service.get("security_opt") or ()):
            yield f"{name}.security_opt = {service['security_opt']!r}"
        if any(not str(k).startswith("net.") for k in service.get("sysctls") or ()):
            yield f"{name}.sysctls = {service['sysctls']!r}"
        if any("drydock" in label for label in service.get("labels") or ()):
            yield f"{name}.labels = {service['labels']!r}"
        for mount in service.get("volumes") or ():
            if mount["type"] == "bind" and not mount["source"].startswith(f"{PLACE}/"):
                yield f"{name} mounts {mount['source']!r}"
        build = service.get("build")
        if build and not build["context"].startswith(f"{PLACE}/"):
            yield f"{name} builds from {build['context']!r}"
        if build and not build.get("dockerfile", "").startswith(f"{PLACE}/"):
            yield f"{name} builds {build.get('dockerfile')!r}"
        if not build and service.get("image") not in IMAGES:
            yield f"{name} runs {service.get('image')!r}"
        count = max(service.get("scale") or 1, (service.get("deploy") or {}).get("replicas") or 1)
        if count > 12:
            yield f"{name} runs {count} times"
        if any(str(value).startswith("root:") for value in (service.get("environment") or {})):
            yield f"{name} has the node's users in its environment"
    for kind in ("configs", "secrets"):
        for name, entry in (document.get(kind) or {}).items():
            if entry.get("file") and not entry["file"].startswith(f"{PLACE}/"):
                yield f"{kind}.{name} reads {entry['file']!r}"
    for name, volume in (document.get("volumes") or {}).items():
        if volume.get("driver_opts") or volume.get("external"):
            yield f"the volume {name} is {volume!r}"


def main() -> int:
    """Run it on a sandbox of its own; 1 where something got through."""
    from grader.engine import find, images
    from tests.engine import looked_at

    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    engine = find.ensure(None)
    with looked_at.node(engine, images.ensure(engine)) as node:
        report = run(node, count)
    print(report.in_words)
    for fault in report.faults:
        print(fault)
    return 1 if report.faults else 0


if __name__ == "__main__":
    home.enter()
    sys.exit(main())
