"""A node that takes all that it gets of what the kernel counts leaves the others theirs."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.engine import kernel_limits, packages
from grader.engine.client import Engine
from grader.engine.node import SandboxNode
from grader.engine.sandbox import Sandbox

pytestmark = pytest.mark.engine

INOTIFY_INIT1 = {"x86_64": 294, "aarch64": 26}.get(platform.machine())
TIMER_CREATE = {"x86_64": 222, "aarch64": 107}.get(platform.machine())

GREEDY = """
$| = 1;
my ($call, $users, $last) = @ARGV;
my ($all, $one, @memory) = (0, 0);
for my $user (1 .. $users) {
    $> = $user;
    $one = 0;
    while ($one < 200000) {
        my $id = "\\0" x 8;
        my $got = $call eq "inotify" ? syscall($last, 0) : syscall($last, 1, 0, $id);
        last if $got < 0;
        $one++;
    }
    $all += $one;
    $> = 0;
}
print "taken $all, the last user $one\\n";
sleep 3600;
"""
"""As one user after the other, takes until there is no more; then keeps it."""


@pytest.fixture(scope="module")
def nodes(engine: Engine) -> Iterator[list[SandboxNode]]:
    if engine.origin != "embedded" or not packages.is_root():
        pytest.skip("limits are set where the kit is root on its own engine")
    if INOTIFY_INIT1 is None or TIMER_CREATE is None:
        pytest.skip("the numbers of system calls are not known here")
    if not all(os.access(Path("/proc/sys", name), os.W_OK) for name in kernel_limits.SHARED):
        pytest.skip("nothing can be set in /proc/sys here")
    with Sandbox.create(engine, nodes=2) as made:
        yield made.nodes


@contextlib.contextmanager
def greedy(node: SandboxNode, call: str, users: int, number: int | None) -> Iterator[list[int]]:
    """(All that was taken, what the last user got) by a process that holds it meanwhile."""
    argv = ["perl", "-e", GREEDY, call, str(users), str(number)]
    made = node.outer.api.exec_create(node.container_id, argv)
    said = ""
    for part in node.outer.api.exec_start(made["Id"], stream=True):
        said += part.decode()
        if "\n" in said:
            break
    assert "taken" in said, said
    deadline = time.monotonic() + 30
    # What it says may come before the engine has noted that it runs.
    while not (process := node.outer.api.exec_inspect(made["Id"])["Pid"]):
        assert time.monotonic() < deadline, "the engine knows no process of it"
        time.sleep(0.05)
    assert process > 1
    try:
        yield [int(word.strip(",")) for word in said.split() if word.strip(",").isdigit()]
    finally:
        os.kill(process, 9)


def inotify() -> bool:
    """Whether this process, as the host's root, gets an inotify instance."""
    found = ctypes.CDLL(None, use_errno=True).inotify_init1(0)
    if found >= 0:
        os.close(found)
    return bool(found >= 0)


def test_inotify_of_root_and_of_other_nodes_is_not_used_up(nodes: list[SandboxNode]) -> None:
    here, there = nodes
    with greedy(here, "inotify", 40, INOTIFY_INIT1) as (taken, last):
        assert last == kernel_limits.NODE["max_inotify_instances"], "an ordinary machine's limit"
        assert taken == 40 * last
        assert inotify()
        with greedy(there, "inotify", 1, INOTIFY_INIT1) as (theirs, _):
            assert theirs == last


def test_pending_signals_of_root_are_not_used_up(nodes: list[SandboxNode]) -> None:
    """A timer needs one; a timer's ID is what the C library puts into `made`."""
    with greedy(nodes[0], "timer", 3, TIMER_CREATE) as (taken, last):
        assert taken > 1000
        assert last < 200_000
        made = ctypes.c_void_p()
        library = ctypes.CDLL(None, use_errno=True)
        if not hasattr(library, "timer_create"):
            library = ctypes.CDLL("librt.so.1", use_errno=True)
        assert library.timer_create(1, None, ctypes.byref(made)) == 0
        library.timer_delete(made)


def test_the_nodes_root_cannot_raise_them(nodes: list[SandboxNode]) -> None:
    node = nodes[0]
    for name, value in kernel_limits.NODE.items():
        path = f"/proc/sys/user/{name}"
        if not Path(path).exists():
            continue
        assert node.run(["cat", path], timeout=20).out.strip() == str(value)
        assert not node.run(["sh", "-c", f"echo 999999 > {path}"], timeout=20).ok
        assert node.run(["cat", path], timeout=20).out.strip() == str(value)


def test_in_a_namespace_of_its_own_there_is_no_more(nodes: list[SandboxNode]) -> None:
    raised = "echo 999999 > /proc/sys/user/max_inotify_instances; cat /proc/sys/user/max_inotify*s"
    perl = "my $n = 0; $n++ while syscall($ARGV[0], 0) >= 0; print qq(got $n\\n)"
    script = f"{raised}; exec perl -e '{perl}' {INOTIFY_INIT1}"
    done = nodes[0].run(["unshare", "--user", "--map-root-user", "sh", "-c", script], timeout=60)
    assert f"got {kernel_limits.NODE['max_inotify_instances']}\n" in done.out
