"""What a submission may not reach, and whether one has: see the fields of `Canaries`.

Each look returns sentences about what is not as it was; none means that nothing got through.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grader.engine import mirror
from grader.engine.client import Engine
from grader.engine.mirror import making
from grader.engine.sandbox import Sandbox
from grader.submission.archives.unpack import remove
from tests.hostile.services import Services

VARIABLE = "HOSTILE_CANARY"
"""A variable of the grading process's environment, whose value is a secret."""

PORT = 8000
"""Where the neighbour's service answers on its node."""

SERVER = (
    "import http.server\n"
    "class H(http.server.BaseHTTPRequestHandler):\n"
    "    def do_GET(self):\n"
    "        self.send_response(200)\n"
    "        self.end_headers()\n"
    "        self.wfile.write(open('/canary', 'rb').read())\n"
    f"http.server.ThreadingHTTPServer(('', {PORT}), H).serve_forever()\n"
)
"""Logs every request, which is how it is known that there was none."""


@dataclass
class Neighbour:
    """A sandbox beside the hostile ones: a file on its node, a container with a service."""

    sandbox: Sandbox
    secret: str
    container: Any = None
    started: str = ""

    @classmethod
    def make(cls, engine: Engine, volume: str) -> Neighbour:
        made = cls(
            Sandbox.create(engine, submission="neighbour", image_set=volume), secrets.token_hex(12)
        )
        try:
            node = made.sandbox.nodes[0]
            node.put({"canary": made.secret.encode()}, "/root")
            made.container = node.docker.containers.create(
                "python:3.11", ["python3", "-c", SERVER], ports={f"{PORT}/tcp": PORT}
            )
            node.docker.api.put_archive(made.container.id, "/", _tar("canary", made.secret))
            made.container.start()
            made.container.reload()
            made.started = made.container.attrs["State"]["StartedAt"]
        except BaseException:
            made.sandbox.remove()
            raise
        return made

    @property
    def address(self) -> str:
        return f"{self.sandbox.nodes[0].address}:{PORT}"

    def look(self) -> list[str]:
        node = self.sandbox.nodes[0]
        found = []
        if node.run(["cat", "/root/canary"], timeout=60).out.strip() != self.secret:
            found.append("The neighbour's file is not as it was.")
        there = node.docker.containers.list(all=True)
        if [c.id for c in there] != [self.container.id]:
            found.append("The neighbour's engine has other containers than its own.")
        self.container.reload()
        state = self.container.attrs["State"]
        if not state["Running"] or state["StartedAt"] != self.started:
            found.append("The neighbour's container was ended or started again.")
        if said := self.container.logs().decode(errors="replace").strip():
            found.append(f"The neighbour's service was reached: {said[:300]}")
        return found


@dataclass
class Canaries:
    """`root` is a folder of the run's own: files that are secret, files that must stay.

    `words` is what stands for [[…]] in cases, `secrets` are texts that must come out nowhere.
    """

    root: Path
    engine: Engine
    neighbour: Neighbour
    services: Services
    secrets: dict[str, str]
    words: dict[str, str]
    image_set: str
    _files: dict[str, str] = field(default_factory=dict)
    _seen: int = 0

    @property
    def environment(self) -> dict[str, str]:
        """For the grading process: the secret variable, and its own temporary folder."""
        return {**os.environ, VARIABLE: self.secrets["environment"], "TMPDIR": self.words["tmp"]}

    def look(self) -> list[str]:
        """What is not as it was since the last look."""
        found = [
            f"A service of the host was reached: {line}"
            for line in self.services.visits[self._seen :]
        ]
        self._seen = len(self.services.visits)
        host = self.root / "host"
        if names := differ(self._files, tree(host)):
            found += [f"A file of the host was changed, made or removed: {n}" for n in names]
            for name in names:
                if name not in self._files:
                    remove(host / name)
            plant(host, self.secrets["file"])
            self._files = tree(host)
        found += self.neighbour.look()
        found += mirrored(self.engine)
        return found


@contextlib.contextmanager
def canaries(root: Path, engine: Engine, volume: str) -> Iterator[Canaries]:
    """All of them, put up in the new folder `root`; the image set's sum is taken first."""
    host, tmp = root / "host", root / "tmp"
    for folder in (root, host, tmp):
        folder.mkdir(mode=0o755)
    hidden = {name: f"canary{secrets.token_hex(12)}" for name in ("file", "environment", "service")}
    plant(host, hidden["file"])
    services = Services(hidden["service"], host / "canary.sock")
    neighbour = None
    try:
        neighbour = Neighbour.make(engine, volume)
        hidden["neighbour"] = neighbour.secret
        words = {
            **{name: str(host / name) for name in ("secret", "open", "victim.txt", "beside")},
            "victim": str(host / "victim.txt"),
            "socket": str(host / "canary.sock"),
            "host": str(host),
            "tmp": str(tmp),
            "open_port": str(services.open_port),
            "loop_port": str(services.loop_port),
            "neighbour": neighbour.address,
            "neighbour_ip": neighbour.address.partition(":")[0],
            "hosts": " ".join(addresses()),
            "variable": VARIABLE,
        }
        yield Canaries(
            root,
            engine,
            neighbour,
            services,
            hidden,
            words,
            image_set_sum(neighbour.sandbox),
            tree(host),
        )
    finally:
        services.close()
        if neighbour is not None:
            neighbour.sandbox.remove()


def plant(host: Path, secret: str) -> None:
    """The host's files: a secret that only the kit may read, one for everybody, and victims."""
    for name, mode in (("secret", 0o600), ("open", 0o644)):
        (host / name).write_text(f"{secret} = {secret}\n", encoding="utf-8")
        (host / name).chmod(mode)
    (host / "beside").mkdir(exist_ok=True)
    for name in ("victim.txt", "beside/victim.txt"):
        (host / name).write_text("stay\n", encoding="utf-8")


def image_set_sum(sandbox: Sandbox) -> str:
    """SHA-256 over the image set as a node sees it.

    Of every file name, size, mode, time of change; of the images that most build on the content,
    read by a container of each.
    """
    node = sandbox.nodes[0]
    listed = node.run(
        [
            "sh",
            "-c",
            "cd /seed 2> /dev/null && find . -xdev -printf '%P %s %m %T@ %l\\n' | sort | sha256sum",
        ],
        timeout=600,
    )
    known = hashlib.sha256(listed.out.encode())
    # Not what the engine itself puts into a container's /etc.
    command = (
        "find /bin/ /etc/ /usr/bin /usr/sbin -xdev -type f 2> /dev/null"
        " | grep -v -e /etc/hosts -e /etc/hostname -e /etc/resolv.conf | sort"
        " | xargs cat | sha256sum"
    )
    for image in ("alpine:3", "redis:7"):
        known.update(
            node.docker.containers.run(image, ["sh", "-c", command], remove=True, entrypoint="")
        )
    return known.hexdigest()


def addresses() -> list[str]:
    """This machine's IPv4 addresses, and those that it may have in networks of sandboxes."""
    listed = json.loads(
        subprocess.run(["ip", "-j", "-4", "addr"], capture_output=True, check=True).stdout
    )
    own = [info["local"] for link in listed for info in link["addr_info"]]
    return sorted({*own, *(f"172.31.{n}.1" for n in range(32)), socket.gethostbyname("localhost")})


def mirrored(engine: Engine) -> list[str]:
    """Requests of hostile submissions that the class mirror passed on to a server, or has kept."""
    with contextlib.closing(engine.client()) as client:
        found = making.find(client)
        if found is None or not found["State"]["Running"]:
            return []
        said = bytes(client.api.logs(found["Id"])).decode("utf-8", errors="replace")
        passed = []
        for line in said.splitlines():
            words = line.split()
            # Without a server behind it, nginx writes `-` for what that server's cache said.
            if len(words) == 4 and "hostile" in words[2] and words[1] not in ("-", "--"):
                passed.append(f"The class mirror passed a request on: {line[:200]}")
        made = client.api.exec_create(
            found["Id"], ["grep", "-rlE", "hostiles9[0-9]{6}mark", "/cache"]
        )
        if kept := bytes(client.api.exec_start(made["Id"])).decode(errors="replace").strip():
            passed.append(f"The class mirror has kept something of it: {kept[:200]}")
        return passed


WHOLE = 10_000_000
"""Bytes up to which a file's content is compared; holes of a terabyte are among them."""


def tree(folder: Path) -> dict[str, str]:
    """What lies below a folder: kind, rights and content by path; nothing is followed."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            state = path.lstat()
            told = f"{state.st_mode:o}"
            if path.is_symlink():
                told += f" -> {path.readlink()}"
            elif path.is_file():
                told += f" {state.st_size}"
                if state.st_size < WHOLE:
                    told += f" {hashlib.sha256(path.read_bytes()).hexdigest()}"
            found[path.relative_to(folder).as_posix()] = told
    return found


def differ(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return sorted({name for name, _ in before.items() ^ after.items()})


def wait_for_mirror(engine: Engine) -> None:
    """It is started by the first sandbox; nothing of the run may seem to have done it."""
    mirror.ensure(engine)


def _tar(name: str, text: str) -> bytes:
    import io
    import tarfile

    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(text)
        member.mtime = int(time.time())
        tar.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()
