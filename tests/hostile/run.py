"""Grading a class of hostile submissions, by the commands that people use."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from grader import paths
from grader.engine import engine_paths, orphans
from grader.engine.client import Engine
from grader.lab import model as labs
from tests.hostile import layout
from tests.hostile.canaries import VARIABLE, Canaries, tree
from tests.hostile.layout import Member

LOOK_SECONDS = 0.5
END_SECONDS = 120
"""How long the command may take to clean up after Ctrl-C."""
PER_CASE = 300
"""Seconds after which a submission is said to have stopped the grader."""

ROOM = 6_000_000_000
"""Bytes of addresses that each of the grader's processes gets."""

# A process's peak begins with the memory of the one that started it, which may be a long run of
# tests: so a small one starts it, and tells its ID, its status and its peak (of all it waited for).
STARTER = """
import os, sys
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
os.write(int(sys.argv[1]), b"%d\\n" % pid)
_, status, usage = os.wait4(pid, 0)
os.write(int(sys.argv[1]), b"%d %d\\n" % (os.waitstatus_to_exitcode(status), usage.ru_maxrss))
"""

Progress = Callable[[int], None]
"""Called with how many of the class are done."""


@dataclass
class Ran:
    """What came of one class. `out` is the results folder, `said` what the command printed.

    `peak` is the largest process's memory in bytes, `left` what was there after it.
    """

    group: Sequence[Member]
    out: Path
    code: int | None
    said: str
    peak: int = 0
    left: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    """What changed in the submissions that were handed in."""


def run(
    canaries: Canaries,
    lab: labs.Lab,
    exercise: str,
    door: str,
    group: Sequence[Member],
    *,
    jobs: int | None,
    progress: Progress = lambda _done: None,
) -> Ran:
    """Lay the class out and grade it; on Ctrl-C the command cleans up first."""
    place = canaries.root / "class"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    source, out = place / "handed-in", place / "out"
    layout.lay(lab, exercise, group, source, canaries.words)
    before = tree(source)
    if door == "check":
        assert len(group) == 1, "workspaces are opened one by one"
        who = group[0].student
        argv = ["check", str(lab.folder), "--student", who, "--workspace", str(source / who)]
        argv += ["--out", str(out)]
    else:
        argv = [
            "grade",
            str(source),
            "--lab",
            str(lab.folder),
            "--roster",
            str(place / "roster.csv"),
        ]
        argv += ["--out", str(out), *(["--jobs", str(jobs)] if jobs else [])]
    argv += ["--exercise", exercise]
    ran = Ran(group, out, None, "")
    with Watched(canaries.engine) as watched:
        _command(canaries, argv, ran, place / "said.txt", progress, watched)
        ran.left = watched.left()
    ran.left += [f"a process: {line}" for line in processes(canaries.secrets["environment"])]
    tmp = Path(canaries.words["tmp"])
    ran.left += [f"a temporary file: {path.name}" for path in tmp.iterdir()]
    for path in tmp.iterdir():
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
    if door == "grade":
        ran.changed = sorted(name for name, _ in before.items() ^ tree(source).items())
    return ran


def _command(
    canaries: Canaries,
    argv: Sequence[str],
    ran: Ran,
    said: Path,
    progress: Progress,
    watched: Watched,
) -> None:
    told, telling = os.pipe()
    with said.open("wb") as output:
        starter = subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", "-c", STARTER, str(telling)),
                # A grader that lets itself be filled up must not take the machine with it.
                *("prlimit", f"--as={ROOM}", sys.executable, "-m", "grader", *argv),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=paths.KIT,
            env=canaries.environment,
            pass_fds=[telling],
            start_new_session=True,  # a Ctrl-C comes through us, once
        )
    os.close(telling)
    heard = os.fdopen(told, encoding="ascii")
    pid = watched.pid = int(heard.readline())
    code: list[int] = []
    ended = threading.Event()

    def wait() -> None:
        with heard:
            words = heard.readline().split()
        starter.wait()
        code.append(int(words[0]))
        ran.peak = int(words[1]) * 1024
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    try:
        for _ in range(int(PER_CASE * len(ran.group) / LOOK_SECONDS)):
            if ended.wait(LOOK_SECONDS):
                break
            progress(len(list((ran.out / "records").glob("*.json"))))
        else:
            _end(pid, ended)
            return
    except BaseException:
        _end(pid, ended)
        raise
    ran.code = code[0]
    ran.said = said.read_text(encoding="utf-8", errors="replace")


def _end(pid: int, ended: threading.Event) -> None:
    for number in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        if ended.wait(END_SECONDS):
            return


class Watched:
    """Notes which runs the grading process begins, to see afterwards that all of them is gone."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.pid = 0
        self.runs: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        notes = engine_paths.current().home / "runs"
        while not self._stop.wait(LOOK_SECONDS):
            for note in notes.glob("*.json"):
                with contextlib.suppress(OSError, ValueError):
                    if json.loads(note.read_text(encoding="utf-8")).get("pid") == self.pid:
                        self.runs.add(note.stem)

    def left(self) -> list[str]:
        """Objects, files, mounts and loop devices of these runs that are still there."""
        self.__exit__()
        found = []
        with contextlib.closing(self.engine.client()) as client:
            for run in self.runs:
                mine = {"label": f"drydock.run={run}"}
                api = client.api
                found += [
                    f"a container: {c['Names'][0]}" for c in api.containers(all=True, filters=mine)
                ]
                found += [f"a network: {n['Name']}" for n in api.networks(filters=mine)]
                volumes = api.volumes(filters=mine)["Volumes"] or []
                found += [f"a volume: {v['Name']}" for v in volumes]
        place = engine_paths.current()
        files = [
            *place.home.glob("runs/*.json"),
            *place.home.glob("disks/*"),
            *place.nodes.glob("*"),
        ]
        names = [str(path) for path in files]
        names += orphans.loops(place.home / "disks")
        names += Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
        return found + [f"{name}" for name in names if any(run in name for run in self.runs)]


def processes(secret: str) -> list[str]:
    """Processes that inherited the grading process's environment and still run."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{VARIABLE}={secret}".encode() in (place / "environ").read_bytes():
                found.append(
                    (place / "cmdline")
                    .read_bytes()
                    .replace(b"\0", b" ")
                    .decode(errors="replace")[:200]
                )
    return found
