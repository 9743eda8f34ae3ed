"""One SSH connection to one machine: commands, files, and its Docker engine's API go through it.

OpenSSH does the work. On POSIX a first `ssh` stays open as the connection's master, and all others
are channels of it. OpenSSH on Windows cannot do that, so there each is a separate connection. The
master runs `cat` on the machine with a pipe from this process. However this process ends, the pipe
closes, and the connection ends with it.
"""

from __future__ import annotations

import atexit
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from grader.engine import bounded, node_socket
from grader.errors import EngineFault, KitError
from grader.machines import access, diagnosis, pipes
from grader.nodes.commands import Kept
from grader.nodes.node import Completed

if TYPE_CHECKING:
    from docker import DockerClient

READY_SECONDS = 60
"""Time for a login, including connecting."""

GRACE = 20
"""How many seconds after its own limit a command's connection is given up."""

OLDEST = (20, 10)
"""The oldest engine that the checks were tested with."""

ENGINE_SOCKET = "/var/run/docker.sock"
GREETING = "drydock-ready"
# No one is there to type a password: who needs one to become root stays who they are.
HELLO = f"echo {GREETING} $(id -u) $(sudo -n id -u 2>/dev/null || echo no) && exec cat"
MAX_OUTPUT = 4_000_000
"""The limit for a command's stored output, in bytes."""


class Unreachable(EngineFault):
    """A machine where a login fails, or with an engine that cannot be used."""


class Link:
    """See the module's docstring. It opens at its first use; `close` ends it.

    Threads may share one. Every method raises `Unreachable`, with a hint if one is known.
    """

    def __init__(self, machine: access.Access) -> None:
        self.machine = machine
        self._rights: list[str] = []
        """What stands before commands that root must run."""
        self._lock = threading.RLock()
        self._folder: Path | None = None
        self._master: subprocess.Popen[bytes] | None = None
        self._docker: DockerClient | None = None

    # The connection ---------------------------------------------------------------------------

    @property
    def config(self) -> Path:
        """The ssh_config of this link, under which the machine has its own name."""
        return self._place() / "config"

    def open(self) -> None:
        """Log in, unless the connection is still open."""
        with self._lock:
            if self._master is not None and self._master.poll() is None:
                return
            self._place()
            self._log_in()

    def close(self) -> None:
        with self._lock:
            self.drop()
            if self._docker is not None:
                self._docker.close()
                self._docker = None
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None
                atexit.unregister(self.close)

    def drop(self) -> None:
        """Only end the connection: the machine shuts down, or was down."""
        with self._lock:
            master, self._master = self._master, None
            if master is not None:
                pipes.end(master)
            if self._folder is not None:
                for path in (self._control(), self._socket()):
                    path.unlink(missing_ok=True)

    def _place(self) -> Path:
        with self._lock:
            if self._folder is None:
                # Sockets have paths of 100 characters at most, so not in the data directory.
                self._folder = Path(tempfile.mkdtemp(prefix="drydock-"))
                atexit.register(self.close)
                access.write_config(self._folder / "config", [self.machine], self._folder)
            return self._folder

    def _control(self) -> Path:
        return access.control_path(self._place(), self.machine.name)

    def _socket(self) -> Path:
        return self._place() / "engine.sock"

    def _log_in(self) -> None:
        self.drop()
        options = ["-o", "StreamLocalBindUnlink=yes"]
        if access.multiplexed():
            options += ["-M", "-L", f"{self._socket()}:{ENGINE_SOCKET}"]
        master = subprocess.Popen(
            self.argv(HELLO, options),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=access.multiplexed(),  # Ctrl-C is ours to answer, not its
        )
        said = pipes.first_line(master, READY_SECONDS)
        if not said.startswith(GREETING):
            pipes.end(master)
            assert master.stderr is not None
            told = master.stderr.read().decode("utf-8", errors="replace")
            raise self._unreachable(told or said or "Connection timed out")
        _, user, by_sudo = said.split()
        self._rights = ["sudo", "-n"] if user != "0" and by_sudo == "0" else []
        threading.Thread(target=pipes.drain, args=(master.stderr,), daemon=True).start()
        self._master = master

    def _unreachable(self, said: str) -> Unreachable:
        what, remedy = diagnosis.explain(diagnosis.SSH, said, self.machine)
        return Unreachable(what, remedy=remedy)

    # Commands and files -----------------------------------------------------------------------

    def argv(self, command: str, options: Sequence[str] = ()) -> list[str]:
        """The local command line that runs `command` (for the machine's shell) over the link."""
        return ["ssh", "-F", str(self.config), "-T", *options, self.machine.name, command]

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        cwd: str = "/",
        env: Mapping[str, str] | None = None,
        keep: int = 64_000,
        stdin: IO[bytes] | None = None,
    ) -> Completed:
        """See `grader.nodes.node.Node.run`; `stdin` is a file that the program reads."""
        kept = Kept(keep)
        began = time.monotonic()
        rc = self._run(_remote(argv, timeout, cwd, env), timeout, kept, None, stdin)
        return Completed(tuple(argv), rc, kept.text(), time.monotonic() - began)

    def execute(self, argv: Sequence[str], *, seconds: float) -> tuple[int | None, bytes, bytes]:
        """Exit code (None at the time-out), standard output and standard error of a command."""
        out, err = Kept(MAX_OUTPUT), Kept(MAX_OUTPUT)
        rc = self._run(_remote(argv, seconds, "/", None), seconds, out, err, None)
        return rc, out.text().encode(), err.text().encode()

    def _run(
        self,
        words: Sequence[str],
        timeout: float,
        out: Kept,
        err: Kept | None,
        stdin: IO[bytes] | None,
    ) -> int | None:
        """The exit code of a command. Output goes to `out`, errors go to `err` or also to `out`."""
        self.open()
        began = time.monotonic()
        line = shlex.join([*self._rights, *words])
        process = subprocess.Popen(
            self.argv(line),
            stdin=stdin if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if err is None else subprocess.PIPE,
            start_new_session=access.multiplexed(),
        )
        sinks = [(process.stdout, out)] + ([(process.stderr, err)] if err is not None else [])
        readers = [threading.Thread(target=pipes.read, args=sink, daemon=True) for sink in sinks]
        for reader in readers:
            reader.start()
        deadline = time.monotonic() + timeout + GRACE
        try:
            for reader in readers:
                reader.join(max(0.0, deadline - time.monotonic()))
        finally:
            hangs = any(reader.is_alive() for reader in readers)
            pipes.end(process)
        rc: int | None = process.returncode
        # A command that `timeout` kills ends without an exit code, which OpenSSH gives as 255.
        if hangs or (rc in (124, 137, 255) and time.monotonic() - began >= timeout):
            return None
        if rc == 255 and not self._alive():
            raise self._unreachable((err or out).text() or "The connection ended.")
        return rc

    def _alive(self) -> bool:
        """Whether the machine still answers over this link."""
        try:
            done = subprocess.run(
                self.argv("true"), stdin=subprocess.DEVNULL, capture_output=True, timeout=GRACE
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def put(self, tar: IO[bytes], dest: str) -> None:
        """Unpack an uncompressed tar into the folder `dest`, which is made."""
        unpack = 'mkdir -p -- "$0" && tar -x -f - -C "$0"'
        done = self.run(["sh", "-c", unpack, dest], timeout=300, stdin=tar)
        if not done.ok:
            raise EngineFault(f"Files could not be copied to {self.machine.name}: {done.tail(2)}")

    # The engine and other ports ---------------------------------------------------------------

    @property
    def docker(self) -> DockerClient:
        """A client of the machine's engine; it recreates broken connections."""
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        with self._lock:
            self.open()
            if self._docker is None:
                try:
                    self._docker = self.connect(timeout=60)
                except (DockerException, RequestException, OSError):
                    raise self._no_engine() from None
            return self._docker

    def connect(self, timeout: float) -> DockerClient:
        """A new client of the engine; `timeout` in seconds per request. Raises docker's errors."""
        self.open()
        if access.multiplexed():
            return bounded.client(
                lambda: node_socket.below(self._place(), self._socket().name, timeout), timeout
            )
        return bounded.client(lambda: self.stream("docker system dial-stdio"), timeout)

    def _no_engine(self) -> Unreachable:
        """Why the engine's API cannot be used, from the message of the docker CLI on the
        machine."""
        said = subprocess.run(
            self.argv("docker version --format '{{.Server.Version}}'"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=READY_SECONDS,
        )
        if said.returncode == 0:
            return Unreachable(
                f"{self.machine.name}: the Docker engine answers there, but not from here.",
                remedy="Its SSH server must allow forwarding (AllowStreamLocalForwarding yes).",
            )
        what, remedy = diagnosis.explain(diagnosis.ENGINE, said.stderr, self.machine)
        return Unreachable(what, remedy=remedy)

    def stream(self, command: str) -> socket.socket:
        """A socket with its other end at the standard streams of a command on the machine."""
        self.open()
        return pipes.through(self.argv(command))

    def tcp(self, port: int, timeout: float) -> socket.socket:
        """A TCP connection to a port of `address` as the machine sees it. Raises OSError."""
        self.open()
        place = f"{self.machine.address}:{port}"
        made = pipes.through(["ssh", "-F", str(self.config), "-W", place, self.machine.name])
        made.settimeout(timeout)
        return made


def _remote(
    argv: Sequence[str], timeout: float, cwd: str, env: Mapping[str, str] | None
) -> list[str]:
    """A program in a folder, with variables and a time limit.

    After `timeout` the program and everything in its process group is ended.
    """
    variables = [f"{name}={value}" for name, value in (env or {}).items()]
    return ["env", "-C", cwd, *variables, "timeout", "-s", "KILL", f"{timeout:g}", *argv]


def check(link: Link) -> KitError | None:
    """Why this machine cannot be used, or None: logs in and asks its engine."""
    try:
        version = str(link.docker.version()["Version"])
    except KitError as error:
        return error
    except Exception as error:  # docker's and requests' many
        return Unreachable(f"{link.machine.name}: the Docker engine does not answer: {error}")
    return too_old(link.machine.name, version)


def too_old(name: str, version: str) -> KitError | None:
    """Whether an engine of that version is older than the checks support."""
    found = re.match(r"(\d+)\.(\d+)", version)
    if found is None or (int(found[1]), int(found[2])) >= OLDEST:
        return None
    return Unreachable(
        f"{name}: its Docker engine is {version}, and the checks need {OLDEST[0]}.{OLDEST[1]:02}.",
        remedy="Install a newer one there: sudo apt-get update && sudo apt-get install docker.io",
    )
