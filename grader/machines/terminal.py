"""A shell or a command in a container, on this terminal, like `docker exec -it`."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.errors import EngineFault, KitError
from grader.machines.provider import Shell

if TYPE_CHECKING:
    from grader.engine.client import Engine

LOGIN = ("bash", "-l")
HOME = "/root"


def interactive() -> bool:
    """Whether a person uses this process's terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def enter(engine: Engine, container: str, command: list[str]) -> Shell:
    """Use the docker command line if it is installed; it also supports Windows' terminals."""
    argv = command or list(LOGIN)
    docker = shutil.which("docker")
    if docker is not None:
        return [docker, *_flags(engine), "exec", *_options(), container, *argv]
    if interactive() and sys.platform == "win32":
        raise KitError(
            "A shell on a node needs the docker command on this computer, and it is not installed.",
            remedy="Install Docker Desktop, or only its command line (docker.exe on the PATH). "
            "Single commands work without it: nox -s swarm -- ssh NODE -- docker node ls",
        )
    return lambda: _over_the_api(engine, container, argv)


def _flags(engine: Engine) -> list[str]:
    flags = ["--host", engine.url]
    if engine.tls is not None:
        folder = Path(engine.tls)
        flags += ["--tlsverify", f"--tlscacert={folder / 'ca.pem'}"]
        flags += [f"--tlscert={folder / 'cert.pem'}", f"--tlskey={folder / 'key.pem'}"]
    return flags


def _options() -> list[str]:
    options = ["--interactive", "--workdir", HOME]
    if interactive():
        options += ["--tty", "--env", f"TERM={_term()}"]
    return options


def _term() -> str:
    return os.environ.get("TERM") or "xterm"


def _over_the_api(engine: Engine, container: str, argv: list[str]) -> int:
    """The same through the Engine API; the command's exit code."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        with contextlib.closing(engine.client()) as client:
            run = _with_terminal if interactive() else _without_terminal
            return run(client, container, argv)
    except (DockerException, RequestException) as error:
        raise EngineFault(f"The node does not take commands: {error}") from None


def _without_terminal(client: Any, container: str, argv: list[str]) -> int:
    from grader.nodes import commands

    exec_id, stream = commands.start(client, container, argv, cwd=HOME, stdin=True)

    _feed(stream)
    for number, data in stream.frames():
        out = sys.stdout.buffer if number == 1 else sys.stderr.buffer
        out.write(data)
        out.flush()
    stream.close()
    return commands.exit_code(client, exec_id)


def _feed(stream: Any) -> None:
    """From now on pass on what is typed (or piped in)."""

    def feed() -> None:
        with contextlib.suppress(OSError, ValueError):
            while data := os.read(sys.stdin.fileno(), 65536):
                stream.send(data)
        stream.end_input()

    threading.Thread(target=feed, daemon=True, name="input").start()


def _with_terminal(client: Any, container: str, argv: list[str]) -> int:
    """POSIX only. All keys go to the program, including Ctrl-C; it also follows the window's
    size."""
    from grader.nodes import commands

    made = client.api.exec_create(
        container, argv, stdin=True, tty=True, workdir=HOME, environment={"TERM": _term()}
    )
    stream = commands.ExecStream(client, made["Id"], tty=True)

    def resize() -> None:
        size = shutil.get_terminal_size()
        with contextlib.suppress(Exception):
            client.api.exec_resize(made["Id"], height=size.lines, width=size.columns)

    with _raw(resize):
        resize()
        _feed(stream)
        for data in stream.screen():
            while data:
                data = data[os.write(sys.stdout.fileno(), data) :]
    stream.close()
    return commands.exit_code(client, made["Id"])


@contextlib.contextmanager
def _raw(resized: Callable[[], None]) -> Iterator[None]:
    """Switch the terminal to raw mode, and restore it afterwards in every case."""
    if sys.platform == "win32":
        raise AssertionError("no raw terminals here")
    import signal
    import termios
    import tty

    keys = sys.stdin.fileno()
    before = termios.tcgetattr(keys)
    handler = signal.signal(signal.SIGWINCH, lambda *_: resized())
    try:
        tty.setraw(keys)
        yield
    finally:
        termios.tcsetattr(keys, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, handler)
