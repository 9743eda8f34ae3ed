"""The class swarm's files: what can be said of them without a machine to start."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from grader import paths
from tests.tools import found_or_installed

VAGRANT = paths.KIT / "vagrant"
SCRIPTS = sorted([*(VAGRANT / "provision").glob("*.sh"), *(VAGRANT / "box").glob("*.sh")])
RUBY = shutil.which("ruby")
ruby = pytest.mark.skipif(RUBY is None, reason="needs Ruby, which comes with Vagrant")
bash = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
GOOD = "box: b\nmemory: 1024\ncpus: 1\nnodes:\n  manager1: {address: 192.168.56.11}\n"


def test_the_three_nodes_have_addresses_of_their_own_on_the_class_network() -> None:
    tree = yaml.safe_load((VAGRANT / "nodes.yaml").read_text("utf-8"))
    assert list(tree["nodes"]) == ["manager1", "worker1", "worker2"]
    addresses = [ipaddress.ip_address(node["address"]) for node in tree["nodes"].values()]
    assert len(set(addresses)) == 3
    assert all(address in ipaddress.ip_network("192.168.56.0/24") for address in addresses)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_stops_at_its_first_error_and_has_unix_line_ends(script: Path) -> None:
    content = script.read_bytes()
    assert content.startswith(b"#!/usr/bin/env bash\n")
    assert b"\r" not in content
    assert b"\nset -euo pipefail\n" in content
    if os.name == "posix":
        assert os.access(script, os.X_OK)


def test_shellcheck_finds_nothing() -> None:
    program = found_or_installed(
        lambda: shutil.which("shellcheck"), ["shellcheck"], "to read the scripts of provisioning"
    )
    done = subprocess.run(
        [program, *map(str, SCRIPTS)], capture_output=True, encoding="utf-8", timeout=120
    )
    assert done.returncode == 0, done.stdout


def read_nodes(path: Path, env: dict[str, str] | None = None, arm64: bool = False) -> str:
    """What nodes.rb makes of a file: JSON, or the message for a person."""
    code = (
        f"require {str(VAGRANT / 'nodes.rb')!r}\nrequire 'json'\n"
        f"begin; puts Drydock::Nodes.read(ARGV[0], arm64: {str(arm64).lower()})"
        ".map(&:to_h).to_json\n"
        "rescue Drydock::Trouble => error; puts error.message; end"
    )
    done = subprocess.run(
        [str(RUBY), "-e", code, str(path)],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        env={**os.environ, **(env or {})},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@ruby
def test_a_node_takes_what_it_does_not_say_from_the_top(tmp_path: Path) -> None:
    path = tmp_path / "nodes.yaml"
    path.write_text(
        GOOD + "  worker1: {address: 192.168.56.12, memory: 2048, box: other, box_version: '2'}\n"
    )
    manager, worker = json.loads(read_nodes(path))
    assert (manager["memory"], manager["box"], manager["box_version"]) == (1024, "b", None)
    assert (worker["memory"], worker["box"], worker["box_version"]) == (2048, "other", "2")
    named = {"DRYDOCK_BOX": "drydock/node", "DRYDOCK_BOX_VERSION": "1.0.0"}
    assert {node["box"] for node in json.loads(read_nodes(path, named))} == {"drydock/node"}


@ruby
def test_apple_silicon_gets_a_box_of_its_own() -> None:
    tree = yaml.safe_load((VAGRANT / "nodes.yaml").read_text("utf-8"))
    nodes = json.loads(read_nodes(VAGRANT / "nodes.yaml", arm64=True))
    assert {node["box"] for node in nodes} == {tree["box_arm64"]}
    assert {node["box_version"] for node in nodes} == {tree["box_arm64_version"]}


@ruby
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (GOOD.replace("56.11", "57.11"), 'the address "192.168.57.11". Give it one from'),
        (GOOD.replace("56.11", "56.1"), "Give it one from 192.168.56.2 to 192.168.56.99."),
        (GOOD.replace("56.11", "56.100"), "Give it one from 192.168.56.2 to 192.168.56.99."),
        (GOOD + "  worker1: {address: 192.168.56.11}\n", "share 192.168.56.11"),
        (GOOD + "  manager1: {address: 192.168.56.12}\n", "`manager1` is there twice"),
        (GOOD.replace("manager1", "boss"), "There is no node called manager1"),
        (GOOD.replace("1024", "lots"), '`manager1` has memory: "lots"'),
        (GOOD.replace("cpus: 1", "cpus: 0"), "`manager1` has cpus: 0"),
        (GOOD.replace("memory", "memroy"), "`memroy` in the file is not known"),
        (GOOD.replace("box: b\n", ""), "`manager1` has no box"),
        (GOOD + "box_version: 12.10\n", "Put it in quotes"),
        (GOOD.replace("manager1", "Manager_1"), "is not a valid node name"),
        ("nodes: [", "This is not valid YAML"),
        ("", "has no `name: value` lines"),
        ("box: b\nnodes:\n", "`nodes` has no `name: value` lines"),
        ("box: !ruby/object:Object {}\nnodes: {}\n", "This is not valid YAML"),
        (None, "The file is missing"),
    ],
)
def test_a_wrong_file_is_explained(tmp_path: Path, content: str | None, said: str) -> None:
    path = tmp_path / "nodes.yaml"
    if content is not None:
        path.write_text(content)
    message = read_nodes(path)
    assert said in message
    assert message.startswith(str(path))


@ruby
@pytest.mark.parametrize("file", ["Vagrantfile", "vagrant/swarm.rb", "vagrant/box/Vagrantfile"])
def test_ruby_can_read_it(file: str) -> None:
    done = subprocess.run(
        [str(RUBY), "-c", str(paths.KIT / file)],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


@ruby
def test_emulation_can_be_forced_and_forbidden(tmp_path: Path) -> None:
    code = (
        f"require {str(VAGRANT / 'nodes.rb')!r}\n"
        "say = ->(env) { Drydock::Host.emulate?(env, kvm: ARGV[0]) }\n"
        "p say.({'DRYDOCK_EMULATE' => '1'}), say.({'DRYDOCK_EMULATE' => '0'}), say.({})\n"
        "begin; say.({'DRYDOCK_EMULATE' => 'yes'}); "
        "rescue Drydock::Trouble => e; puts e.message; end"
    )
    done = subprocess.run(
        [str(RUBY), "-e", code, str(tmp_path / "no-kvm")],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.stdout.splitlines()[:3] == ["true", "false", "true"], done.stderr
    assert "Use 1 or 0" in done.stdout


@ruby
def test_kvm_that_runs_firmware_and_no_kernel_is_emulated_and_tried_once(tmp_path: Path) -> None:
    code = (
        f"require {str(VAGRANT / 'host.rb')!r}\n"
        "qemu = ->(script) { ['timeout', '2', 'sh', '-c', script, 'qemu'] }\n"
        "stuck = -> { Drydock::Host.boots?('k', qemu: qemu.('echo SeaBIOS; exec sleep 60')) }\n"
        "panics = 'echo \"[0.9] Kernel panic - not syncing: VFS: Unable to mount root fs\"'\n"
        "p stuck.(), Drydock::Host.boots?('k', qemu: qemu.(panics))\n"
        "tries = 0\n"
        "ask = ->(k) { Drydock::Host.remembered(ARGV[0], k) { tries += 1; k == 'good' } }\n"
        "p ask.('bad'), ask.('bad'), tries, ask.('good'), ask.('good'), tries\n"
    )
    done = subprocess.run(
        [str(RUBY), "-e", code, str(tmp_path / "new" / "memory")],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    said = done.stdout.splitlines()
    assert said == ["false", "true", "false", "false", "1", "true", "true", "2"], done.stderr


# A node's engine as swarm.sh sees it: answers from files, and a log of what was typed.
DOCKER = """\
#!/usr/bin/env bash
case "$1 $2" in
    "info --format")
        said=$3
        while [[ $said =~ [{][{]([A-Za-z.]+)[}][}] ]]; do
            said=${said/"${BASH_REMATCH[0]}"/$(cat "$FAKE/${BASH_REMATCH[1]}" 2>/dev/null)}
        done
        echo "$said"
        ;;
    "node ls") cat "$FAKE/nodes" ;;
    *) echo "$*" >>"$FAKE/typed" ;;
esac
"""


class Node:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        docker = folder / "bin" / "docker"
        docker.write_text(DOCKER)
        docker.chmod(0o755)
        self.is_("inactive")

    def is_(self, state: str, **more: str) -> None:
        values = {"LocalNodeState": state, "ControlAvailable": "false", **more}
        for name, value in values.items():
            (self.folder / f".Swarm.{name}").write_text(value + "\n")

    def members(self, *lines: str) -> None:
        (self.folder / "nodes").write_text("".join(f"{line}\n" for line in lines))

    def swarm(self, *words: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            ["bash", str(VAGRANT / "provision" / "swarm.sh"), *words],
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            env={**os.environ, "PATH": path, "FAKE": str(self.folder), "DRYDOCK_PAUSE": "0"},
        )

    @property
    def typed(self) -> list[str]:
        log = self.folder / "typed"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


@bash
class TestTheSwarmsScript:
    def test_it_makes_a_swarm_once_on_the_private_address(self, node: Node) -> None:
        assert node.swarm("init", "192.168.56.11").returncode == 0
        assert node.typed == ["swarm init --advertise-addr 192.168.56.11"]
        node.is_("active", ControlAvailable="true", NodeAddr="192.168.56.11")
        assert node.swarm("init", "192.168.56.11").stdout == "The swarm exists already.\n"
        assert len(node.typed) == 1

    def test_it_does_not_take_a_swarm_on_the_wrong_network(self, node: Node) -> None:
        node.is_("active", ControlAvailable="true", NodeAddr="10.0.2.15")
        done = node.swarm("init", "192.168.56.11")
        assert done.returncode == 1
        assert "10.0.2.15, not 192.168.56.11" in done.stderr
        assert node.typed == []

    def test_a_new_node_joins(self, node: Node) -> None:
        assert node.swarm("id").stdout == "-\n"
        assert node.swarm("join", "192.168.56.11", "192.168.56.12", "TOKEN").returncode == 0
        assert node.typed == [
            "swarm join --token TOKEN --advertise-addr 192.168.56.12 192.168.56.11:2377"
        ]

    def test_a_member_stays_as_it_is(self, node: Node) -> None:
        node.is_("active", NodeID="abc")
        assert node.swarm("id").stdout == "abc\n"
        assert node.swarm("join", "192.168.56.11", "192.168.56.12", "-").returncode == 0
        assert node.typed == []

    def test_a_worker_of_a_swarm_that_is_gone_moves_over(self, node: Node) -> None:
        node.is_("active", NodeID="abc")
        node.swarm("join", "192.168.56.11", "192.168.56.12", "TOKEN")
        assert [line.split()[1] for line in node.typed] == ["leave", "join"]

    def test_a_manager_of_another_swarm_is_left_alone(self, node: Node) -> None:
        node.is_("active", NodeID="abc", ControlAvailable="true")
        done = node.swarm("join", "192.168.56.11", "192.168.56.12", "TOKEN")
        assert done.returncode == 1
        assert "manager of another swarm" in done.stderr
        assert node.typed == []

    def test_the_manager_tells_whom_it_knows(self, node: Node) -> None:
        node.members("abc", "def")
        assert node.swarm("knows", "abc").stdout == "yes\n"
        assert node.swarm("knows", "ab").stdout == "no\n"

    def test_a_manager_that_cannot_list_its_members_says_neither(self, node: Node) -> None:
        done = node.swarm("knows", "abc")
        assert done.returncode != 0
        assert done.stdout == ""

    def test_a_replaced_node_is_forgotten_one_that_is_off_is_not(self, node: Node) -> None:
        node.members(
            "a manager1 Ready Leader", "b worker1 Down", "c worker1 Ready", "d worker2 Down"
        )
        assert "former worker1" in node.swarm("tidy", "worker1").stdout
        assert node.swarm("tidy", "worker2").stdout == ""
        assert node.typed == ["node rm --force b"]


def test_no_file_names_where_packages_come_from() -> None:
    files = [path for path in VAGRANT.rglob("*") if path.is_file()] + [paths.KIT / "Vagrantfile"]
    for path in files:
        assert not re.search(
            r"https?://|^deb (?!\[trusted=yes\] file:)", path.read_text("utf-8"), re.MULTILINE
        ), path
