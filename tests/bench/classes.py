"""What grading a class costs: side by side, one after the other, and by an older kit."""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from grader.classroom.results import Results
from grader.console import say
from grader.engine.engine_paths import current
from grader.engine.mirror import status
from grader.errors import KitError
from grader.grading import examples
from grader.lab import labfile
from grader.lab.model import Lab
from grader.paths import KIT
from tests.bench import measured
from tests.bench.command import Ran, kit
from tests.bench.setting import Setting
from tests.engine.small_class import Class

FEW, MANY = 20, 100
MIB = 1024**2
PYTHONS = (
    ".nox/kit/bin/python",
    ".nox/bench/bin/python",
    ".nox/tests/bin/python",
    ".venv/bin/python",
)
"""Where an older checkout has its environment."""


def student_id(number: int) -> str:
    return f"s{7_000_000 + number}"


def hand_in(lab: Lab, number: int, dest: Path) -> None:
    """A whole lab: of each exercise its solution or, for three students of four, in one exercise
    another of its mistakes."""
    student = student_id(number)
    examples.render_solution(lab, student, dest)
    wrong = lab.exercises[number % len(lab.exercises)]
    mistakes = [e for e in examples.find(lab, [wrong.id]) if "/mistakes/" in e.name]
    if number % 4 and mistakes:
        examples.render(lab, mistakes[number * 7 % len(mistakes)], student, dest)


@dataclass(frozen=True)
class Kit:
    """A checkout of the kit, with its Python and its data directory (None: those of this run)."""

    folder: Path = KIT
    python: Path | None = None
    home: Path | None = None

    def run(self, *words: str | Path) -> Ran:
        if self.python is None:
            return kit(*words)
        return kit(*words, folder=self.folder, python=self.python, home=self.home)


def older(folder: Path) -> Kit:
    """The checkout to compare with. Its engine and images have a data directory of their own."""
    folder = folder.resolve()
    if not (folder / "grader" / "__main__.py").is_file():
        raise KitError("This is not a checkout of the kit.", where=str(folder))
    for name in PYTHONS:
        if (folder / name).is_file():
            # The link itself: what it leads to does not have the environment's packages.
            return Kit(folder, folder / name, _beside(current().home))
    raise KitError(
        "This checkout has no environment.",
        where=str(folder),
        remedy="Run `nox -s doctor` there first.",
    )


def _beside(home: Path) -> Path:
    return home.with_name(f"{home.name}-against")


@dataclass
class Graded:
    """Some submissions, graded by a kit in one way."""

    name: str
    students: int
    seconds: float
    scores: dict[str, float] = field(default_factory=dict)

    @property
    def each(self) -> float:
        return self.seconds / self.students

    def in_words(self, than: Graded | None = None) -> str:
        words = f"{self.seconds:.0f} s, {self.each:.0f} s each"
        return f"{words} = {self.each / than.each:.2f} ×" if than else words


def class_(setting: Setting) -> None:
    """Wall time of `grade`: side by side; the same or some of them with `--jobs 1`; and all of them
    by an older kit, if there is one."""
    count = setting.students
    against = older(setting.against) if setting.against else None
    with tempfile.TemporaryDirectory(prefix="drydock-bench-") as folder:
        lab = labfile.load("lab4")
        for number in range(count):
            hand_in(lab, number, Path(folder, "all", student_id(number)))
        apart = min(setting.apart or count, count)
        for number in range(apart):
            Path(folder, "apart").mkdir(exist_ok=True)
            hand_in(lab, number, Path(folder, "apart", student_id(number)))
        setting.get_ready()
        if against:
            # Both kits start with warm caches: each grades one of them untimed.
            hand_in(lab, 0, Path(folder, "first", student_id(0)))
            _grade(setting, Kit(), Path(folder), "first", "untimed")
        together = _grade(setting, Kit(), Path(folder), "all", "side by side")
        setting.row(f"{count} whole labs, as many side by side as fit", together.in_words())
        setting.row("… so this machine grades in an hour", f"{3600 / together.each:.0f} whole labs")
        alone = _grade(setting, Kit(), Path(folder), "apart", "one by one", "--jobs", "1")
        setting.row(f"{apart} whole labs, one after the other", alone.in_words())
        ratio = together.each / alone.each
        setting.row("… side by side against that", f"{ratio:.2f} ×", "0.5 × or less")
        _same(together, alone)
        if against:
            _against(setting, against, Path(folder), together)


def _against(setting: Setting, against: Kit, folder: Path, now: Graded) -> None:
    """The same submissions by the older kit. The engine of this one does not run meanwhile."""
    name = measured.commit(against.folder)[:7] or against.folder.name
    say(f"class: the kit in {against.folder} ({name}) grades the same submissions")
    say("class: this kit's engine stops meanwhile; the older kit starts its own")
    kit("engine", "stop")
    try:
        _grade(setting, against, folder, "first", "untimed, older")
        before = _grade(setting, against, folder, "all", "older")
    finally:
        against.run("engine", "stop")
        # The next part finds or starts the engine again.
        setting.__dict__.pop("engine", None)
        say("class: the older kit's engine is stopped")
    setting.row(f"{now.students} whole labs by the older kit ({name})", before.in_words())
    setting.row(
        "… so it grades in an hour, and this kit in the same run",
        f"{3600 / before.each:.0f} and {3600 / now.each:.0f} whole labs",
    )
    setting.row("… this kit's time against the older kit's", f"{now.each / before.each:.2f} ×")
    differ = [who for who, score in now.scores.items() if before.scores.get(who) != score]
    if differ:
        setting.row("… submissions whose points differ", ", ".join(differ))


def _grade(setting: Setting, by: Kit, folder: Path, which: str, name: str, *more: str) -> Graded:
    """Grade the submissions in `folder / which`."""
    say(f"class: grading {name}")
    out = folder / f"results, {name}"
    outside = _fetched(setting) if by.python is None else 0
    where = ("--lab", "lab4", "--out", out)
    ran = by.run("grade", folder / which, *where, *setting.trust, *more)
    if by.python is None:
        say(f"class: {ran.seconds:.0f} s, {_fetched(setting) - outside} requests outside")
    scores = {
        file.stem: float(json.loads(file.read_text("utf-8"))["score"])
        for file in sorted(Results(out, "lab4", ()).record_file("s").parent.glob("*.json"))
    }
    return Graded(name, len(list((folder / which).iterdir())), ran.seconds, scores)


def _fetched(setting: Setting) -> int:
    return status.look(setting.engine).from_outside


def _same(together: Graded, alone: Graded) -> None:
    differ = {who for who, score in alone.scores.items() if together.scores.get(who) != score}
    if differ:
        raise SystemExit(f"Side by side the points of these differ: {', '.join(sorted(differ))}")


@dataclass(frozen=True)
class Small:
    """What a batch of small submissions needed. `disk` (bytes): what it left but its results."""

    count: int
    ran: Ran
    disk: int
    page: int

    @property
    def each(self) -> float:
        return self.ran.seconds / self.count


def grade_small(one: Class, *more: str) -> Small:
    """Grade a class of small submissions, which is not graded yet."""
    before = used()
    ran = kit(*one.where, *more)
    page = (one.out / "class" / "index.html").stat().st_size
    return Small(len(one.students), ran, used() - before, page)


def small_class(folder: Path, count: int) -> Class:
    return Class(folder, {student_id(number): "well" for number in range(count)})


def small(setting: Setting) -> None:
    """Submissions of a lab with small exercises: is the hundredth as cheap as the first?"""
    setting.get_ready()
    for count in (FEW, MANY):
        with tempfile.TemporaryDirectory(prefix="drydock-bench-") as folder:
            found = grade_small(small_class(Path(folder), count))
        setting.row(f"seconds per small submission, {count} of them", f"{found.each:.2f}", "flat")
        memory = f"{found.ran.memory / MIB:.0f}"
        setting.row("… most memory of the batch itself (MiB)", memory, "flat")
        disk = f"{found.disk / MIB:.0f}"
        setting.row("… what it leaves on the disk but its results (MiB)", disk, "flat")


def used() -> int:
    """Bytes on the disk below the kit's data directory."""
    done = subprocess.run(
        ["du", "-s", "-B1", str(current().home), str(current().run)],
        capture_output=True,
        text=True,
        check=False,
    )
    return sum(int(line.split()[0]) for line in done.stdout.splitlines())
