"""The vagrant command: its answers as data, its troubles as sentences."""

import stat
import sys
from pathlib import Path

import pytest

from grader.errors import KitError
from grader.lab import class_nodes
from grader.machines import vagrantcli
from grader.machines.vagrant import Vagrant

STATUS = """\
1700000000,manager1,metadata,provider,libvirt
1700000000,manager1,provider-name,libvirt
1700000000,manager1,state,running
1700000000,manager1,state-human-short,running
1700000000,worker1,provider-name,virtualbox
1700000000,worker1,state,not_created
1700000000,,ui,info,Current machine states:\\n
"""
SSH = """\
Host manager1
  HostName 127.0.0.1
  User vagrant
  Port 2222
  IdentityFile "/a folder/private_key"
  StrictHostKeyChecking no

Host worker1
  HostName 192.168.121.7
  User vagrant
"""


@pytest.fixture
def vagrant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program `vagrant` that says what is in `said` and ends with the code in `code`.

    A command, such as ssh-config, may have a code of its own, in `code-ssh-config`. What is in
    `locked` is said once, and the program ends with 1.
    """
    program = tmp_path / "vagrant"
    program.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, sys\n"
        "here = pathlib.Path(__file__).parent\n"
        "(here / 'asked').open('a').write(sys.argv[1] + '\\n')\n"
        "sys.stdout.write((here / 'said').read_text())\n"
        "locked = here / 'locked'\n"
        "if locked.exists():\n"
        "    sys.stderr.write(locked.read_text())\n"
        "    locked.unlink()\n"
        "    sys.exit(1)\n"
        "own = here / f'code-{sys.argv[1]}'\n"
        "sys.exit(int((own if own.exists() else here / 'code').read_text()))\n",
        "utf-8",
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "code").write_text("0", "utf-8")
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_states_are_read_from_the_machine_readable_answer(vagrant: Path) -> None:
    (vagrant / "said").write_text(STATUS, "utf-8")

    assert vagrantcli.states() == {
        "manager1": "running",
        "worker1": "not_created",
    }


def test_an_ssh_config_is_a_table_for_each_machine(vagrant: Path) -> None:
    (vagrant / "said").write_text(SSH, "utf-8")
    found = vagrantcli.ssh_configs("manager1", "worker1")

    assert found["manager1"]["Port"] == "2222"
    assert found["manager1"]["IdentityFile"] == "/a folder/private_key"
    assert found["worker1"] == {
        "Host": "worker1",
        "HostName": "192.168.121.7",
        "User": "vagrant",
    }


def test_in_class_where_all_machines_run_one_question_is_enough(vagrant: Path) -> None:
    names = list(class_nodes.addresses())
    (vagrant / "said").write_text("\n".join(f"Host {name}\n  Port 22" for name in names), "utf-8")

    assert Vagrant().missing() == {}
    assert (vagrant / "asked").read_text("utf-8").split() == ["ssh-config"]


def test_where_one_does_not_run_vagrant_is_asked_which(vagrant: Path) -> None:
    # Then Vagrant tells no machine's login; it ends with 1.
    (vagrant / "code-ssh-config").write_text("1", "utf-8")
    (vagrant / "said").write_text(STATUS, "utf-8")

    assert Vagrant().missing() == {"worker1": "Vagrant says it is not created"}
    assert (vagrant / "asked").read_text("utf-8").split() == ["ssh-config", "status"]


def test_another_vagrant_that_looks_too_is_waited_for(vagrant: Path) -> None:
    (vagrant / "said").write_text(SSH, "utf-8")
    (vagrant / "locked").write_text(
        "Vagrant can't use the requested machine because it is locked! This\n"
        "means that another Vagrant process is currently reading or modifying\nthe machine.\n",
        "utf-8",
    )

    assert vagrantcli.ssh_configs().keys() == {"manager1", "worker1"}
    assert (vagrant / "asked").read_text("utf-8").split() == ["ssh-config", "ssh-config"]


def test_another_vagrant_that_goes_on_is_named(
    vagrant: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vagrantcli, "BUSY_SECONDS", 0)
    (vagrant / "code").write_text("1", "utf-8")
    (vagrant / "said").write_text("An action 'up': another process is already executing", "utf-8")

    with pytest.raises(KitError) as caught:
        vagrantcli.ask("status")

    assert "Another `vagrant` is using" in caught.value.what


@pytest.mark.parametrize(
    ("said", "what", "remedy"),
    [
        ("VT-x is not available (VERR_VMX_NO_VMX)", "processor", "firmware"),
        ("VERR_NEM_VM_CREATE_FAILED", "Hyper-V", "Windows"),
        ("is not within the\nallowed ranges", "192.168.56.0/24", "networks.conf"),
        ("network is already in use by interface vboxnet3", "Another network", "virsh net-list"),
        ("Box 'drydock/node' could not be found", "box", "vagrant/box/README.md"),
        ("cannot set up guest memory 'pc.ram': Cannot allocate memory", "memory", "nodes.yaml"),
        ("No usable default provider could be found", "provider", "VirtualBox"),
        ("error: failed to set MSR 0x10a to 0x69", "KVM", "DRYDOCK_EMULATE=1"),
        ("Timed out while waiting for the machine to boot.", "in time", "vagrant halt"),
        ("write error: No space left on device", "disk is full", "free some space"),
    ],
)
def test_troubles_come_with_a_remedy(vagrant: Path, said: str, what: str, remedy: str) -> None:
    (vagrant / "said").write_text(said, "utf-8")
    (vagrant / "code").write_text("1", "utf-8")
    told: list[str] = []

    with pytest.raises(KitError) as caught:
        vagrantcli.act("up", progress=told.append)

    assert what in caught.value.what
    assert caught.value.remedy is not None
    assert remedy in caught.value.remedy
    assert told  # What vagrant itself said was shown, too.


def test_an_unknown_trouble_keeps_its_last_words_and_no_traceback(vagrant: Path) -> None:
    (vagrant / "said").write_text(
        "It broke.\n/usr/lib/ruby/x.rb:12:in `call'\n/usr/lib/ruby/y.rb:3:in `run'\n", "utf-8"
    )
    (vagrant / "code").write_text("1", "utf-8")

    with pytest.raises(KitError) as caught:
        vagrantcli.ask("status")

    assert "It broke." in caught.value.what
    assert ".rb" not in caught.value.what


def test_lines_that_only_count_are_left_out() -> None:
    assert vagrantcli.cleaned("\x1b[KProgress: 5% (Rate: 0/s)\r\x1b[KProgress: 99%\r") == ""
    assert vagrantcli.cleaned("==> worker1: Booting…\n") == "==> worker1: Booting…"


def test_no_vagrant_names_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("grader.engine.packages.SYSTEM_PATH", "")

    with pytest.raises(KitError) as caught:
        vagrantcli.ask("status")

    assert caught.value.remedy is not None
    assert "containers" in caught.value.remedy


def test_addresses_are_those_of_the_nodes_file(tmp_path: Path) -> None:
    assert class_nodes.addresses()["manager1"] == "192.168.56.11"
    broken = tmp_path / "nodes.yaml"
    broken.write_text("nodes: 3\n", "utf-8")
    with pytest.raises(KitError, match="cannot be read"):
        class_nodes.addresses(broken)
