"""Shared values and files are found, and chance, starters and small things accuse no one."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from functools import cache
from itertools import product
from pathlib import Path

import pytest

from grader.classroom import similarity
from grader.classroom.results import Entry, Person, Results
from grader.classroom.similarity import values as likeness_values
from grader.classroom.similarity.values import Values, bound
from grader.handout import workspace
from grader.handout.rendering import render, render_tree
from grader.lab import labfile
from grader.lab.variant import variant

LAB = labfile.load("lab4")
IDS = [f"s{3000000 + 37 * n}" for n in range(6)]
PECULIAR = """\
# my own notes: the cache has to be warm before the front asks for it
FROM python:3.11
WORKDIR /srv/kept-by-no one-else
ENV LOOKS_LIKE=no one-elses-work
COPY tools/warm-the-cache.py tools/
RUN python tools/warm-the-cache.py --twice
LABEL remark="the second run is the one that counts"
CMD ["python", "tools/serve.py", "--slowly"]
"""


@cache
def files(student: str, solved: bool) -> dict[str, bytes]:
    values = workspace.values(LAB, student)
    found = render(LAB.templates, values)
    for solution in LAB.folder.glob("examples/*/solution") if solved else ():
        found |= render(solution, values)
    return found


def a_class(folder: Path, ids: Sequence[str] = IDS, *, solved: bool = True) -> Results:
    """Everybody hands in the lab's own solution with their own values (or their starters)."""
    results = Results(folder, LAB.id, tuple(Entry(Person(i), f"{i}.zip") for i in ids))
    for student in ids:
        for name, content in files(student, solved).items():
            put(results, student, name, content)
    return results


def copy(results: Results, source: str, target: str, name: str) -> None:
    content = (results.submission(source) / name).read_bytes()
    (results.submission(target) / name).write_bytes(content)


def put(results: Results, student: str, name: str, content: str | bytes) -> Path:
    file = results.submission(student) / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def told(results: Results) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.kind, one.students) for one in similarity.find(LAB, results)]


def test_a_class_that_all_hand_in_the_same_solution_is_not_accused(tmp_path: Path) -> None:
    assert told(a_class(tmp_path)) == []


def test_a_class_that_hands_in_its_starters_is_not_accused(tmp_path: Path) -> None:
    assert told(a_class(tmp_path, solved=False)) == []


def test_another_s_file_is_told_with_its_values_and_as_one_file(tmp_path: Path) -> None:
    results = a_class(tmp_path)
    copy(results, IDS[1], IDS[4], "blog/compose.yaml")
    found = similarity.find(LAB, results)
    assert [(one.kind, one.students) for one in found] == [
        ("values", (IDS[4], IDS[1])),
        ("file", (IDS[1], IDS[4])),
    ]
    assert found[0].detail.startswith("db_password, db_root_password, blog_port")
    assert found[0].detail.endswith("; in blog/compose.yaml")
    assert found[1].detail == "blog/compose.yaml"


def test_details_hold_no_value_from_which_an_id_could_be_computed(tmp_path: Path) -> None:
    results = a_class(tmp_path)
    copy(results, IDS[1], IDS[4], "blog/compose.yaml")
    detail = similarity.find(LAB, results)[0].detail
    theirs = variant(LAB, IDS[1])
    assert not any(str(theirs[p.name]) in detail for p in LAB.parameters if p.size > 100)


@pytest.mark.parametrize("role", ["missing", "demo"])
def test_values_of_somebody_who_handed_in_nothing_are_told(tmp_path: Path, role: str) -> None:
    other = LAB.demo_student if role == "demo" else "s7654321"
    results = a_class(tmp_path)
    if role == "missing":
        results = Results(tmp_path, LAB.id, results.entries, missing=(Person(other),))
    values = workspace.values(LAB, other)
    render_tree(LAB.folder / "examples/compose/solution", results.submission(IDS[2]), values)
    assert told(results) == [("values", (IDS[2], other))]


def test_one_file_of_three_is_told_once_whatever_its_blanks(tmp_path: Path) -> None:
    results = a_class(tmp_path)
    put(results, IDS[0], "counter/Dockerfile", PECULIAR)
    put(results, IDS[2], "counter/Dockerfile", PECULIAR.replace("\n", "\r\n\r\n"))
    put(results, IDS[5], "counter/Dockerfile.mine", PECULIAR.replace(" ", "  ") + "\n\n")
    found = similarity.find(LAB, results)
    assert [(one.kind, one.students) for one in found] == [("file", (IDS[0], IDS[2], IDS[5]))]
    assert found[0].detail == "counter/Dockerfile"


def test_small_equal_files_accuse_nobody(tmp_path: Path) -> None:
    results = a_class(tmp_path)
    for student in IDS[:2]:
        put(results, student, "counter/.dockerignore", "*.pyc\n.git\n__pycache__\n.venv\n")
        put(results, student, "counter/Dockerfile", "\n".join(PECULIAR.split("\n")[:3]))
    assert told(results) == []


def test_equal_values_of_two_students_do_not_make_their_equal_files_one(tmp_path: Path) -> None:
    """Of 80 port ranges two students have the same one before long; each wrote their own."""
    by_range: dict[object, list[str]] = {}
    for number in range(3_000_000, 3_000_500):
        values = variant(LAB, f"s{number}")
        by_range.setdefault(values["counter_port_first"], []).append(f"s{number}")
    twins = next(ids for ids in by_range.values() if len(ids) > 1)[:2]
    results = a_class(tmp_path, [*twins, *IDS])
    files = {(results.submission(s) / "counter/compose.yaml").read_bytes() for s in twins}
    assert len(files) == 1
    assert told(results) == []


def test_what_the_whole_class_was_given_accuses_nobody(tmp_path: Path) -> None:
    ids = [*IDS, "s4000001", "s4000002"]
    results = a_class(tmp_path, ids)
    for student in ids[:7]:
        put(results, student, "counter/Dockerfile", PECULIAR)
    assert told(results) == []


def test_a_few_of_another_s_ports_words_and_choices_are_no_hint(tmp_path: Path) -> None:
    results = a_class(tmp_path)
    other = variant(LAB, IDS[1])
    names = ("counter_port_first", "app_berth", "front_network", "db_engine", "app_replicas")
    lines = "\n".join(f"# {other[name]}" for name in names)
    put(results, IDS[3], "notes.txt", lines)
    assert told(results) == []


def test_every_possible_value_in_one_file_is_no_hint(tmp_path: Path) -> None:
    results = a_class(tmp_path)
    every = [str(p.value(n)) for p in LAB.parameters for n in range(p.size) if p.size < 2000]
    put(results, IDS[0], "notes.txt", "\n".join(every)[:190_000])
    assert told(results) == []


def test_three_hundred_honest_students_match_each_other_by_chance_and_are_not_told() -> None:
    people = [f"s{5000000 + n}" for n in range(300)]
    values = Values(LAB, people)
    texts = {p: values.grams("\n".join(map(str, values.of[p].values()))) for p in people}
    sets = {p: {(k, v) for k, v in values.of[p].items()} for p in people}
    alike = sum(len(sets[a] & sets[b]) > 8 for a in people for b in people if a < b)
    assert alike > 0, "by chance some have many values in common"
    assert [p for p in people if values.found(p, texts[p], 300 * 301)] == []


@pytest.mark.parametrize("chances", [(0.5, 0.1, 0.1, 0.02), (0.01, 0.01, 0.01), (1.0, 0.3, 0.001)])
def test_the_bound_is_never_below_the_exact_chance(chances: tuple[float, ...]) -> None:
    weights = [-math.log(chance) for chance in chances]

    def chance_of(hits: Sequence[bool]) -> float:
        return math.prod(c if hit else 1 - c for c, hit in zip(chances, hits, strict=True))

    outcomes = list(product((False, True), repeat=len(chances)))
    for seen in outcomes:
        score = sum(w for w, hit in zip(weights, seen, strict=True) if hit)
        exact = sum(
            chance_of(other)
            for other in outcomes
            if sum(w for w, hit in zip(weights, other, strict=True) if hit) >= score - 1e-9
        )
        found = bound(chances, [n for n, hit in enumerate(seen) if hit])
        assert exact <= found * (1 + 1e-9)


def test_the_larger_the_class_the_more_must_be_found() -> None:
    people = [IDS[0], IDS[1]]
    values = Values(LAB, people)
    theirs = values.of[IDS[1]]
    grams = values.grams(f"{theirs['db_password']} {theirs['blog_port']} {theirs['db_name']}")
    assert [found.person for found in values.found(IDS[0], grams, tests=4)] == [IDS[1]]
    assert values.found(IDS[0], grams, tests=90_000) == []
    assert likeness_values.CHANCE <= 1e-6


def test_port_ranges_phrases_and_passwords_are_read_where_they_stand() -> None:
    values = Values(LAB, IDS)
    grams = values.grams('- "9120-9129:5000"\n--password=rusty-cabin-eel\n"Ahoy from Bergen"!')
    assert {"9120", "9129", "5000", "rusty-cabin-eel", "Ahoy from Bergen"} <= grams
    assert not {"rusty", "cabin", "eel"} & grams, "a part of a value is not a value"


def test_hostile_files_are_left_out(tmp_path: Path) -> None:
    results = a_class(tmp_path)
    secret = tmp_path / "elsewhere.txt"
    secret.write_text(PECULIAR)
    for student in IDS[:2]:
        put(results, student, "a/binary", b"\0" + PECULIAR.encode())
        put(results, student, "a/huge.txt", PECULIAR * 2_000)
        (results.submission(student) / "a/link.txt").symlink_to(secret)
        (results.submission(student) / "a/loop").symlink_to(tmp_path)
        os.mkfifo(results.submission(student) / "a/pipe")
        put(results, student, "a/broken.txt", b"\xff\xfe\x80" * 9)
        put(results, student, "node_modules/x.js", PECULIAR)
    assert told(results) == []


def test_refused_and_vanished_submissions_are_passed_over(tmp_path: Path) -> None:
    results = a_class(tmp_path)
    entries = (*results.entries, Entry(Person("s6000000"), "x", refused="a zip bomb"))
    entries += (Entry(Person("s6000001"), "gone"), Entry(Person("not of this lab"), "odd"))
    assert told(Results(tmp_path, LAB.id, entries)) == []


def test_progress_counts_every_submission_and_the_order_is_stable(tmp_path: Path) -> None:
    results = a_class(tmp_path)
    copy(results, IDS[1], IDS[4], "blog/compose.yaml")
    copy(results, IDS[2], IDS[0], "rollout/voting.yaml")
    put(results, IDS[3], "x/Dockerfile", PECULIAR)
    put(results, IDS[5], "x/Dockerfile", PECULIAR)
    seen: list[tuple[int, int]] = []
    first = similarity.find(LAB, results, lambda done, total: seen.append((done, total)))
    assert seen == [(n, 6) for n in range(1, 7)]
    backwards = Results(tmp_path, LAB.id, results.entries[::-1])
    assert similarity.find(LAB, backwards) == first
