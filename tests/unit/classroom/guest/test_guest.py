"""The virtual machine that grades, as far as it can be judged without building one."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from grader import paths
from grader.classroom.batch import inside
from grader.classroom.batch.capacity import GIB, Machine
from grader.classroom.guest import disk, kit, machine
from grader.classroom.guest.machine import How, Size
from grader.cli import main
from grader.errors import KitError
from tests.unit import toy_lab

NAMES = ("root", "overlay", "kit", "images", "kernel", "initrd", "channel")
HANDLES = {name: number for number, name in enumerate(NAMES, start=10)}


@pytest.fixture
def argv() -> list[str]:
    return machine.command(How("kvm", sandboxed=True), Size(2, 4096), HANDLES)


def options(argv: list[str], option: str) -> list[str]:
    return [argv[i + 1] for i, word in enumerate(argv) if word == option]


def test_the_machine_has_no_network_no_screen_and_one_port(argv: list[str]) -> None:
    assert options(argv, "-nic") == ["none"]
    assert not {"-netdev", "-net", "-vnc", "-spice", "-qmp", "-monitor", "-virtfs"} & {*argv}
    assert {"-nodefaults", "-no-user-config", "-no-reboot"} <= {*argv}
    assert options(argv, "-display") == ["none"]
    assert options(argv, "-chardev")[0] == "socket,id=channel,fd=16"
    devices = [word.split(",")[0] for word in options(argv, "-device")]
    assert sorted(devices) == sorted(
        ["virtio-blk-pci"] * 3 + ["virtio-serial-pci", "virtserialport", "virtio-rng-pci"]
    )


def test_only_the_overlay_is_written_and_no_path_is_named(argv: list[str]) -> None:
    nodes = options(argv, "-blockdev")
    for name in ("root", "kit", "images"):
        assert all("read-only=on" in node for node in nodes if f"node-name={name}" in node)
    assert [node for node in nodes if "read-only=on" not in node] == [
        "driver=file,node-name=overlay-file,filename=/dev/fdset/2,read-only=off,cache.no-flush=on",
        "driver=qcow2,node-name=overlay,file=overlay-file,backing=root",
    ]
    assert options(argv, "-add-fd")[1] == "fd=11,set=2"
    assert options(argv, "-kernel") == ["/proc/self/fd/14"]
    assert not [word for word in argv if str(Path.home()) in word]


def test_an_emulated_machine_and_one_without_seccomp(argv: list[str]) -> None:
    plain = machine.command(How("tcg", sandboxed=False), Size(1, 2048), HANDLES)
    assert "-sandbox" not in plain
    assert options(argv, "-sandbox") == [machine.SANDBOX]
    assert options(plain, "-accel")[0].startswith("tcg,")
    assert (options(argv, "-accel"), options(argv, "-cpu")) == (["kvm"], ["host"])
    assert "mitigations=off" in options(plain, "-append")[0]
    assert "mitigations=off" not in options(argv, "-append")[0], "its processors are real ones"


def test_qemu_ends_with_the_kit_and_is_no_one() -> None:
    argv = machine.apart("tcg")
    assert options(argv, "--pdeathsig") == ["KILL"]
    assert "--no-new-privs" in argv
    if os.geteuid() == 0:
        assert "--net" in argv
        assert int(options(argv, "--reuid")[0]) > 0x70000000
        assert {"--clear-groups", "--bounding-set=-all"} <= {*argv}


def test_the_trials_program_is_where_a_processor_begins() -> None:
    code = machine.firmware()
    assert len(code) == 0x10000
    assert code[-16:-12] == bytes([0xB0, machine.WELL, 0xE6, 0xF4])


def test_a_kvm_that_starts_no_kernel_is_tried_once_and_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[How] = []
    monkeypatch.setattr(machine, "_trial", lambda found: "")
    monkeypatch.setattr(machine, "_starts", lambda found, _: tried.append(found))
    assert machine.how(tmp_path / "kernel") == How("tcg", sandboxed=True)
    assert tried == [How("kvm", sandboxed=True)]


def test_a_changed_check_builds_no_disk_and_a_changed_recipe_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tmp_path / "guest"
    recipe.mkdir()
    for file in disk.RECIPE.iterdir():
        (recipe / file.name).write_bytes(file.read_bytes())
    before = disk.key(100000)
    monkeypatch.setattr(disk, "RECIPE", recipe)
    assert disk.key(100000) == before
    assert disk.key(165536) != before
    (recipe / "setup.sh").write_text("true\n")
    assert disk.key(100000) != before
    assert not any(path.suffix == ".py" for path in disk.RECIPE.iterdir())


def test_what_the_kit_needs_is_read_from_its_project() -> None:
    found = disk.requirements()
    assert any(one.startswith("docker>=") for one in found)
    assert any(one.startswith("pytest-testinfra") for one in found)
    assert not any(one.startswith("distributed") for one in found), "an extra is none"


def test_a_project_that_says_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    with pytest.raises(KitError, match="does not have what the kit needs"):
        disk.requirements(tmp_path / "pyproject.toml")


def test_pip_asks_for_the_machines_python_and_builds_nothing() -> None:
    argv = disk.pip_command("3.11", Path("/x"), ["a>=1"])
    assert "--only-binary=:all:" in argv
    assert "--python-version=3.11" in argv
    assert argv[-1] == "a>=1"
    assert not any("index" in word or "://" in word for word in argv)


def test_the_kit_goes_in_with_one_lab_and_without_solutions(tmp_path: Path) -> None:
    lab = toy_lab.make(tmp_path)
    (lab.folder / "examples").mkdir()
    (lab.folder / "examples" / "solution.txt").write_text("secret")
    with kit.packed(lab.id, lab.folder, lab.templates) as file, tarfile.open(fileobj=file) as tar:
        names = tar.getnames()
    assert "grader/classroom/batch/guest_side.py" in names
    assert f"labs/{lab.id}/lab.yaml" in names
    assert "templates/images/catalogue.yaml" in names
    assert not [name for name in names if "/examples/" in name or "__pycache__" in name]
    assert not [name for name in names if name.startswith("labs/lab4")]


def test_all_code_goes_in_since_keys_are_made_of_it() -> None:
    lab = paths.LABS / "lab4", paths.TEMPLATES / "lab4"
    with kit.packed("lab4", *lab) as file, tarfile.open(fileobj=file) as tar:
        names = {name for name in tar.getnames() if name.endswith(".py")}
    code = {p.relative_to(paths.KIT).as_posix() for p in (paths.KIT / "grader").rglob("*.py")}
    assert code <= names


def test_the_machine_gets_what_the_host_can_spare() -> None:
    assert inside.fitting(Machine(2, 24 * GIB, GIB, 1)) == Size(2, 8 * 1024)
    assert inside.fitting(Machine(8, 10 * GIB, GIB, 1)) == Size(8, 8 * 1024 + 512)
    assert inside.fitting(Machine(0.5, 4 * GIB, GIB, 1)) == Size(1, 2 * 1024 + 512)
    with pytest.raises(KitError, match=r"needs 3\.5 GiB of free memory. There are 3\.0"):
        inside.fitting(Machine(2, 3 * GIB, GIB, 1))


@pytest.mark.parametrize("other", [["--cluster", "tcp://h:1"], ["--engine", "x"], ["--trust"]])
def test_other_places_to_grade_at_exclude_it(
    tmp_path: Path, other: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["grade", str(tmp_path), "--inside", "vm", *other]) == 2
    assert f"--inside vm and {other[0]} exclude each other" in capsys.readouterr().err
