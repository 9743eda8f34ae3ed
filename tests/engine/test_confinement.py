"""The process of checks, where the kit is root: what it can reach, and what its end takes along.

The checks here are ours and try what those of a submission's that had taken the process over would.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from grader import paths
from grader.engine.client import Engine
from grader.engine.sandbox import Sandbox
from grader.engine.sandbox_target import SandboxTarget
from grader.grading import jail, progress
from grader.grading.exercise import ExerciseRun, Stopped
from grader.lab import model as labs
from grader.nodes.node import Target
from grader.record import ExerciseResult, Unavailable
from grader.submission import files as submission
from grader.waiting import wait_until
from tests.unit import toy_lab

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not jail.possible(), reason="it takes root on Linux"),
]

STUDENT = "s1234567"

CHECKS = '''
import ctypes
import json
import os
import socket
import time
from pathlib import Path

from grader.checks import check, fail
from grader.modules import http


def told(submission):
    return json.loads((submission / "numbers/do.txt").read_text(encoding="utf-8"))


def tried(what):
    try:
        return f"got in: {what()!r}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


@check(points=1)
def check_reach(submission, node):
    """All that it tries is denied."""
    try_ = told(submission)
    if try_.get("do") != "reach":
        return
    found = {}
    for name in try_["files"]:
        found[f"read {name}"] = tried(lambda: os.listdir(name) if name.endswith("/")
                                      else Path(name).read_bytes()[:20])
    for name in try_["sockets"]:
        found[f"connect {name}"] = tried(lambda: socket.socket(socket.AF_UNIX).connect(name))
    for place in try_["addresses"]:
        found[f"tcp {place}"] = tried(lambda: socket.create_connection(tuple(place), 3))
    found["abstract"] = tried(
        lambda: socket.socket(socket.AF_UNIX).connect("\\0" + try_["abstract"]))
    found["kill"] = tried(lambda: os.kill(os.getppid(), 0))
    found["root"] = tried(lambda: os.setuid(0))
    found["mount"] = "" if ctypes.CDLL(None).mount(b"x", b"/tmp", b"tmpfs", 0, None) else "got in"
    found["code"] = tried(lambda: Path(http.__file__).write_text("x"))
    found["other node"] = tried(lambda: node._line.ask(
        node._line._new(), {"do": "run", "node": "worker1", "argv": ["id"], "timeout": 5,
                            "cwd": "/", "env": {}, "keep": 10}))
    found["no operation"] = tried(lambda: node._line.ask(
        node._line._new(), {"do": "__init__", "node": node.name}))
    found["environment"] = "got in" if "secret" in str(dict(os.environ)) else ""
    fail("What was tried.", actual=json.dumps({k: v for k, v in found.items() if "got in" in v}),
         expected=str(len(found)))


@check(points=1)
def check_works(submission, node):
    """What checks need goes on working."""
    if told(submission).get("do") != "work":
        return
    assert node.run(["id", "-u"], timeout=30).out.strip() == "0"
    late = node.run(["sh", "-c", "echo begun; sleep 60"], timeout=1)
    assert (late.rc, late.out.strip()) == (None, "begun")
    long = node.run(["sh", "-c", "yes | head -c 3000000"], timeout=30, keep=2_000_000)
    assert 1_900_000 < len(long.out) < 2_100_000
    assert node.run(["no-such-program"], timeout=30).rc in (126, 127)
    script = submission / "numbers/run.sh"
    node.put(submission / "numbers", "/put/here")
    assert node.run(["/put/here/run.sh"], timeout=30).out == "it ran\\n"
    node.put({"a/b.txt": b"x" * 100_000, "c.txt": b""}, "/put/there")
    sizes = node.run(["stat", "-c", "%s", "/put/there/a/b.txt", "/put/there/c.txt"], timeout=30)
    assert sizes.out.split() == ["100000", "0"]
    assert node.docker.info()["Name"] == node.name
    assert node.host.file("/put/there/a/b.txt").size == 100_000
    assert node.host.run("echo out; echo err >&2; exit 3").rc == 3
    serve = ["perl", "-MIO::Socket::INET", "-e",
             "my $s = IO::Socket::INET->new(LocalPort => 8123, Listen => 9, ReuseAddr => 1)"
             " or die; if (fork) { exit } while (my $c = $s->accept) { my $l = <$c>;"
             " print $c qq(HTTP/1.1 200 OK\\\\r\\\\nContent-Length: 2\\\\r\\\\n\\\\r\\\\nhi);"
             " close $c }"]
    assert node.run(["setsid", "sh", "-c", '"$@" >/dev/null 2>&1', "sh", *serve], timeout=30).ok
    assert http.get(node.address, 8123).text == "hi"
    assert not http.connects(node.address, 8124)
    with node.cut_off():
        assert not http.connects(node.address, 8123, timeout=1)  or http.get(
            node.address, 8123, timeout=1) is None
    assert http.get(node.address, 8123).text == "hi"


@check(points=1)
def check_goes_on(submission, node):
    """It starts something, and does not wait for its end."""
    do = told(submission).get("do")
    if do == "wait":
        node.run(["sleep", "4321"], timeout=3600)
    if do == "fork":
        if os.fork() == 0:
            os.setsid()
            time.sleep(3600)
'''


class Own:
    """One sandbox for all tests here."""

    unavailable: Unavailable | None = None

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    @contextmanager
    def target(self, exercise: Any, student: str) -> Iterator[Target]:
        yield SandboxTarget(self.sandbox)


@pytest.fixture(scope="module")
def sandbox(engine: Engine) -> Iterator[Sandbox]:
    with Sandbox.create(engine, submission="confined") as made:
        yield made


@pytest.fixture
def lab(tmp_path: Path) -> labs.Lab:
    made = toy_lab.make(tmp_path)
    (made.folder / "checks/numbers/check_numbers.py").write_text(CHECKS, encoding="utf-8")
    return made


Grade = Callable[..., ExerciseResult]


@pytest.fixture
def grade(tmp_path: Path, lab: labs.Lab, sandbox: Sandbox) -> Grade:
    numbers = tmp_path / "workspace/numbers"
    numbers.mkdir(parents=True)

    def run(told: Mapping[str, object], stop: threading.Event | None = None) -> ExerciseResult:
        (numbers / "do.txt").write_text(json.dumps(told), encoding="utf-8")
        (numbers / "run.sh").write_text("#!/bin/sh\necho it ran\n", encoding="utf-8")
        (numbers / "run.sh").chmod(0o755)
        return ExerciseRun(
            lab=lab,
            exercise=lab.exercise("numbers"),
            student=STUDENT,
            files=submission.read(numbers.parent, ["numbers"]),
            key="",
            provider=Own(sandbox),
            progress=progress.Progress(),
            stop=stop or threading.Event(),
        ).run()

    return run


def why(result: ExerciseResult) -> dict[str, str]:
    return {
        check.id.removeprefix("numbers."): f"{check.cause.reason} {check.cause.log}"
        for check in result.checks
        if check.outcome != "passed" and check.cause
    }


def test_what_checks_need_goes_on_working(grade: Grade) -> None:
    result = grade({"do": "work"})
    assert (why(result), result.fault) == ({}, None)
    assert result.target["confined"] is True


def test_nothing_of_the_host_is_within_reach(
    grade: Grade,
    tmp_path: Path,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import socket

    monkeypatch.setenv("A_TOKEN", "secret")
    secret, anyones = tmp_path / "secret.txt", tmp_path / "results" / "anyone.txt"
    secret.write_text("secret", encoding="utf-8")
    secret.chmod(0o600)
    anyones.parent.mkdir()
    anyones.write_text("another student's", encoding="utf-8")
    tmp_path.chmod(0o755)
    engines = sandbox.engine.url.removeprefix("unix://")
    sockets = [engines, "/var/run/docker.sock", str(sandbox.nodes[0].socket)]
    abstract = f"drydock-test-{os.getpid()}"
    with socket.socket() as service, socket.socket(socket.AF_UNIX) as unnamed:
        service.bind(("127.0.0.1", 0))
        service.listen()
        unnamed.bind("\0" + abstract)
        unnamed.listen()
        files = [str(secret), str(anyones), "/etc/passwd", "/root/", "/proc/", "/tmp/", "/home/"]
        files += [f"/proc/{os.getpid()}/environ", str(Path(engines).parent) + "/"]
        result = grade(
            {
                "do": "reach",
                "files": files,
                "sockets": sockets,
                "addresses": [
                    service.getsockname(),
                    (sandbox.nodes[0].address, 22),
                    (gateway(sandbox), 80),
                ],
                "abstract": abstract,
            }
        )
    (reach, works, _) = result.checks
    assert reach.cause is not None
    assert reach.cause.reason == "What was tried.", why(result)
    # Folders on the way to what is shown are there, and are empty but for that.
    got = json.loads(reach.cause.actual or "")
    shown = {name: got.pop(name, None) for name in ("read /root/", "read /tmp/")}
    assert got == {}
    assert int(reach.cause.expected or "0") > len(files) + len(sockets) + 8, "all was tried"
    for listed in shown.values():
        mine = {*tmp_path.parts, *paths.KIT.parts, ".pyenv", ".local", ".nox"}
        names = set(re.findall(r"'([^']+)'", listed or ""))
        assert all(name in mine or name.startswith("drydock-") for name in names), listed
    assert works.outcome == "passed", "the next one is unharmed"


def gateway(sandbox: Sandbox) -> str:
    """This machine's own address on the sandbox's network."""
    return sandbox.nodes[0].address.rpartition(".")[0] + ".1"


def test_commands_end_with_their_checks(grade: Grade, sandbox: Sandbox) -> None:
    (node,) = sandbox.nodes
    stop = threading.Event()
    ended: list[type[BaseException]] = []

    def run() -> None:
        try:
            grade({"do": "wait"}, stop)
        except Stopped as error:
            ended.append(type(error))

    thread = threading.Thread(target=run)
    thread.start()
    running = ["sh", "-c", "pgrep -f '^sleep 4321$'"]
    assert wait_until(lambda: node.run(running, timeout=20).ok, within=60)
    stop.set()
    thread.join(60)
    assert ended == [Stopped]
    assert not node.run(running, timeout=20).ok, "it was over when the run was"


def test_a_process_that_checks_leave_behind_is_killed(
    grade: Grade, monkeypatch: pytest.MonkeyPatch
) -> None:
    users: list[int] = []
    end_all = jail.end_all

    def noted(uid: int) -> None:
        users.append(uid)
        assert jail.running_as(uid), "it is still there"
        end_all(uid)

    monkeypatch.setattr(jail, "end_all", noted)
    result = grade({"do": "fork"})
    assert [c.outcome for c in result.checks] == ["passed"] * 3, why(result)
    (user,) = users
    assert not jail.running_as(user)


def test_without_a_jail_checks_run_all_the_same_and_it_is_said(
    grade: Grade, lab: labs.Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    """As with a kit that only root may read."""
    unreadable = lab.folder / "checks" / "more.txt"
    unreadable.touch(mode=0o600)
    result = grade({})
    assert result.target["confined"] is False
    assert [c.outcome for c in result.checks] == ["passed"] * 3
    assert f"no other user may read {unreadable}" in capsys.readouterr().err
