"""`swarm up|status|join|ssh|watch|env|down`: a swarm of your own."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from grader.cli import swarm_watch
from grader.errors import KitError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grader.machines.joining import Failure
    from grader.machines.provider import Options, Provider

EXAMPLE = """examples:
  python -m grader swarm up                      three nodes on this computer's engine
  python -m grader swarm ssh manager1            a shell on one of them
  python -m grader swarm ssh manager1 -- docker node ls
  python -m grader swarm status
  python -m grader swarm join                    form the swarm, or add the nodes that are not in it
  eval "$(python -m grader swarm env manager1)"  docker commands of this shell go to manager1
  eval "$(python -m grader swarm env --unset)"   … and back
  python -m grader swarm watch web               record that service; Ctrl-C draws a timeline of it
  python -m grader swarm down
  python -m grader swarm up --provider vagrant --join

exit codes: 0; 1 status: problems were found; 1 watch --until-updated: no update ended;
2 bad usage; 3 something does not work;
ssh: the command's own
"""

CONTAINER_PAUSE = 0.1
MACHINE_PAUSE = 2.0
"""Seconds between two questions to an engine that is not ready; those of containers are quick."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "swarm",
        help="a swarm of your own: manager1, worker1, worker2",
        description="Three machines with Docker engines for class and practice. They start "
        "without a swarm: creating it is the exercise (up --join or join does it for you).",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--provider",
        metavar="KIND",
        help="containers, vagrant or hosts (default: the one that is up, else containers)",
    )
    common.add_argument(
        "--hosts", type=Path, metavar="FILE", help="hosts: the list of machines (YAML)"
    )
    common.add_argument("--engine", metavar="URL", help="containers: the engine to use")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, about: str) -> argparse.ArgumentParser:
        made = actions.add_parser(name, help=about, description=about, parents=[common])
        made.set_defaults(run=RUN[name])
        return made

    up = action("up", "start the machines; those that run are not changed")
    up.add_argument("--join", action="store_true", help="also form the swarm")
    status = action("status", "roles, versions, ports between the nodes, clocks, routing mesh")
    status.add_argument("--json", action="store_true", help="print JSON")
    action("join", "form the swarm, or add the nodes that are not in it yet; can be repeated")
    ssh = action("ssh", "a shell on a node, or one command there")
    ssh.add_argument("node", metavar="NODE")
    ssh.add_argument("words", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    watch = action("watch", "record a service until Ctrl-C, and draw a timeline of its updates")
    swarm_watch.add_arguments(watch)
    env = action("env", "print the commands that connect a shell's docker to a node")
    env.add_argument("node", nargs="?", metavar="NODE")
    env.add_argument("--shell", choices=["bash", "zsh", "fish", "powershell", "cmd"])
    env.add_argument("--unset", action="store_true", help="print the commands that undo it")
    action("down", "remove the machines")


def _up(args: argparse.Namespace) -> int:
    from grader.console import say
    from grader.machines import memory

    with memory.changing():
        kind, options = _chosen(args)
        machines = _provider(kind, options)
        _only_one(kind)
        # Before they are up: of virtual machines something stays, however far it gets.
        memory.remember(kind, options)
        machines.up(say)
        code = _join_all(machines) if args.join else 0
    for node in machines.nodes():
        print(f"{node.name:<10} {node.address}")
    for remark in machines.remarks():
        print(remark)
    if not args.join:
        print("If you do not want to practise that, `join` forms the swarm for you.")
    print("Next: nox -s swarm -- ssh manager1")
    return code


def _only_one(kind: str) -> None:
    """KitError if machines of another provider are up: the commands would mean either."""
    from grader.machines import memory

    before = memory.recall()
    if before is None or before.kind == kind:
        return
    try:
        _provider(before.kind, before.options()).nodes()
    except KitError:
        return
    raise KitError(
        f"Machines of the provider {before.kind} are up.",
        remedy="Remove them first: nox -s swarm -- down",
    )


def _join(args: argparse.Namespace) -> int:
    from grader.machines import memory

    with memory.changing():
        return _join_all(_provider(*_chosen(args)))


def _join_all(machines: Provider) -> int:
    """0 if all nodes are in, else 3; who is not is named."""
    from grader.console import say
    from grader.machines import joining

    pause = CONTAINER_PAUSE if machines.kind == "containers" else MACHINE_PAUSE
    failed = joining.join(machines.nodes(), say, pause)
    for name, why in machines.missing().items():
        failed.append(joining.Failure(name, f"it {why}"))
    _tell(failed)
    return 3 if failed else 0


def _tell(failed: Sequence[Failure]) -> None:
    for failure in failed:
        print(f"{failure.node} is not in the swarm: {failure.what}", file=sys.stderr)
    if failed:
        print(
            "  nox -s swarm -- status shows the state of each node; `up` brings back what has "
            "stopped.",
            file=sys.stderr,
        )


def _status(args: argparse.Namespace) -> int:
    from grader.console import task
    from grader.machines import status, status_words

    machines = _provider(*_chosen(args))
    nodes = machines.nodes()
    with task("Asking the nodes"):
        found = status.look(nodes, machines.missing(), machines.remarks())
    if args.json:
        print(json.dumps({"provider": machines.kind, **asdict(found)}, indent=1))
    else:
        status_words.render(found)
    return 1 if found.problems else 0


def _ssh(args: argparse.Namespace) -> int:
    words = args.words[1:] if args.words[:1] == ["--"] else args.words
    shell = _provider(*_chosen(args)).shell(args.node, words)
    if callable(shell):
        return shell()
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "posix":
        # In place of this process: signals, terminal and exit code are the program's own.
        os.execvp(shell[0], shell)
    return subprocess.call(shell)


def _watch(args: argparse.Namespace) -> int:
    return swarm_watch.run(args, _provider(*_chosen(args)))


def _env(args: argparse.Namespace) -> int:
    from grader.machines import env, ssh_files

    shell = args.shell or env.guess()
    what = "--unset" if args.unset else args.node
    command = f"python -m grader swarm env {what}" + (
        f" --shell {args.shell}" if args.shell else ""
    )
    if args.unset:
        sys.stdout.write(env.undo(shell, command))
        return 0
    if args.node is None:
        raise KitError("`swarm env` needs a NODE (or --unset).")
    machines = _provider(*_chosen(args))
    host = machines.docker_host(args.node)
    if host.startswith("ssh://") and not ssh_files.included(machines.kind):
        print(
            "`docker` uses your own SSH settings to find the machines. Put this line at the top "
            "of ~/.ssh/config, once:\n  {ssh_files.include(machines.kind)}",
            file=sys.stderr,
        )
    sys.stdout.write(env.script(shell, host, command))
    return 0


def _down(args: argparse.Namespace) -> int:
    from grader.machines import memory

    with memory.changing():
        kind, options = _chosen(args)
        _provider(kind, options).down()
        before = memory.recall()
        if before is not None and before.kind == kind:
            memory.forget()
    return 0


def _chosen(args: argparse.Namespace) -> tuple[str, Options]:
    """The provider's kind and options: those asked for, else those of what is up."""
    from grader.machines import memory
    from grader.machines.provider import Options

    before = memory.recall()
    kind = args.provider or (before.kind if before is not None else "containers")
    hosts = args.hosts
    if hosts is None and before is not None and before.kind == kind:
        hosts = before.options().hosts_file
    return kind, Options(engine_url=args.engine, hosts_file=hosts)


def _provider(kind: str, options: Options) -> Provider:
    from grader import machines

    return machines.provider(kind, **vars(options))


RUN = {
    "up": _up,
    "status": _status,
    "join": _join,
    "ssh": _ssh,
    "watch": _watch,
    "env": _env,
    "down": _down,
}
