"""The worksheet's pictures: each student's own values, readable by machines, and complete."""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from grader import paths
from grader.classroom.similarity import texts
from grader.errors import KitError
from grader.handout import pictures, workspace
from grader.handout.pictures import SVG
from grader.lab import labfile
from grader.lab.model import Lab
from grader.lab.variant import variant
from grader.submission import files as submission
from grader.submission import pack
from tests import worksheets

LAB4 = labfile.load("lab4")
ME = "s1234567"
DRAWN = {"microservices", "counter", "blog", "swarm", "publish", "rollout"}


def drawn(student: str, name: str) -> Any:
    return ElementTree.fromstring(workspace.contents(LAB4, student)[f"pictures/{name}.svg"])


def words(root: Any) -> list[str]:
    return [element.text for element in root.iter(f"{SVG}text")]


def rects(root: Any, css: str) -> list[tuple[float, float, float, float]]:
    """x, y, width, height of the rectangles of a class."""
    return [
        (float(r.get("x")), float(r.get("y")), float(r.get("width")), float(r.get("height")))
        for r in root.iter(f"{SVG}rect")
        if r.get("class") == css
    ]


def kinds(*names: str) -> list[str]:
    """Students who have among them every combination of these values."""
    found: dict[tuple[Any, ...], str] = {}
    for number in range(150):
        values = variant(LAB4, student := f"s{number:07}")
        found.setdefault(tuple(values[name] for name in names), student)
    return sorted(found.values())


@pytest.fixture
def toy(tmp_path: Path) -> Lab:
    """lab4 with one picture and a worksheet that shows it, which a test may change."""
    templates = tmp_path / "templates"
    (templates / "pictures").mkdir(parents=True)
    (templates / "pictures" / "quay.svg.j2").write_text(
        '{% from "drawing.svg.j2" import picture, code %}\n'
        '{% call picture(200, 90, "Quay", "A quay called " ~ site_name) %}\n'
        '{{ code(20, 40, "<" ~ site_name ~ " & co>") }}\n'
        "{% endcall %}\n",
        encoding="utf-8",
    )
    (templates / "worksheet.md.j2").write_text("![A quay.](pictures/quay.svg)\n", encoding="utf-8")
    return replace(LAB4, templates=templates)


def test_each_picture_is_shown_and_each_that_is_shown_is_there() -> None:
    files = workspace.contents(LAB4, ME)
    there = {name for name in files if name.startswith("pictures/")}
    assert there == {f"pictures/{name}.svg" for name in DRAWN}
    nb = worksheets.read(files["worksheet.ipynb"])
    shown = [p for cell in nb.cells for p in pictures.shown(cell.source)]
    assert Counter(p.path for p in shown) == Counter(there)
    assert all(len(p.words) > 60 for p in shown)


@pytest.mark.parametrize("student", kinds("db_engine", "app_replicas", "swarm_web_replicas"))
def test_a_picture_stands_alone(student: str) -> None:
    """A size, a name and words for a screen reader, and nothing from anywhere else."""
    for name, content in workspace.contents(LAB4, student).items():
        if not name.startswith("pictures/"):
            continue
        root = ElementTree.fromstring(content)
        assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
        assert root.get("role") == "img"
        named = set()
        for part in ("title", "desc"):
            element = root.find(f"{SVG}{part}")
            assert element is not None
            named.add(element.get("id"))
        assert named == set(str(root.get("aria-labelledby")).split())
        text = content.decode("utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert re.findall(r"https?:|href|@import|font-face|<script|<foreignObject", text) == []
        assert set(re.findall(r"url\(([^)]*)\)", text)) <= {"#tip"}
        assert len(words(root)) > 8


@pytest.mark.parametrize("student", kinds("db_engine", "counter_replicas"))
def test_applications_have_the_students_own_values(student: str) -> None:
    mine = variant(LAB4, student)
    counter, blog = words(drawn(student, "counter")), words(drawn(student, "blog"))
    assert f"{mine['counter_port_first']}-{mine['counter_port_last']}" in counter
    assert mine["counter_key"] in counter
    webs = [w for w in counter if re.fullmatch(r"web \d", w)]
    assert len(webs) == mine["counter_replicas"]
    assert f"localhost:{mine['blog_port']}" in blog
    for name in ("front_network", "back_network", "db_image", "db_volume"):
        assert mine[name] in blog


def test_nodes_have_the_addresses_of_the_class_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = yaml.safe_load((paths.KIT / "vagrant/nodes.yaml").read_text("utf-8"))["nodes"]
    text = words(drawn(ME, "swarm"))
    for name in ("manager1", "worker1", "worker2"):
        assert text[text.index(name) + 1] == listed[name]["address"]
    assert {"TCP 2377", "TCP and UDP 7946", "UDP 4789"} <= set(text)
    # A kit without machines: names are enough, and the worksheet does not speak of addresses.
    monkeypatch.setattr("grader.lab.class_nodes.FILE", tmp_path / "none.yaml")
    files = workspace.contents(LAB4, ME)
    assert b"192.168." not in files["pictures/swarm.svg"]
    assert b"manager1" in files["pictures/swarm.svg"]
    assert b"--provider vagrant" not in files["worksheet.ipynb"]


@pytest.mark.parametrize("student", kinds("swarm_web_replicas"))
def test_mesh_answers_everywhere_and_host_mode_where_tasks_run(student: str) -> None:
    mine = variant(LAB4, student)
    text = Counter(words(root := drawn(student, "publish")))
    tasks = mine["swarm_web_replicas"]
    assert text[str(mine["swarm_mesh_service"])] == text[str(mine["swarm_host_service"])] == tasks
    assert text[str(mine["swarm_mesh_port"])] == 3
    assert text[str(mine["swarm_host_port"])] == 3
    assert text["nothing answers at"] == 3 - int(tasks)
    assert len(rects(root, "badge")) == 3 + int(tasks)


@pytest.mark.parametrize("student", kinds("app_replicas", "app_order"))
def test_rolling_update_keeps_what_the_exercise_promises(student: str) -> None:
    """Read off the drawn bars: slots, batches, the pause, and never fewer tasks than promised."""
    mine = variant(LAB4, student)
    root = drawn(student, "rollout")
    slots = [w for w in words(root) if re.fullmatch(r"app\.\d", w)]
    assert len(slots) == mine["app_replicas"]
    old = [r for r in rects(root, "old") if r[3] == 17]
    new = [r for r in rects(root, "new") if r[3] == 17]
    starting = [r for r in rects(root, "new") if r[3] == 4 and r[0] > 100]
    assert len(old) == len(new) == len([r for r in starting if r[2] > 24]) == len(slots)
    begun = sorted(Counter(r[0] for r in starting if r[2] > 24).values())
    most = mine["app_parallelism"]
    assert begun[-1] == most
    batches = [w for w in words(root) if w.startswith("batch ")]
    assert len(batches) == len(begun) == -(-int(mine["app_replicas"]) // int(most))
    assert words(root).count(f"{mine['app_delay']} s") == len(batches) - 1
    edges = sorted({edge for x, _, width, _ in old + new for edge in (x, x + width)})
    middles = [(a + b) / 2 for a, b in pairwise(edges)]
    healthy = [sum(x < at < x + width for x, _, width, _ in old + new) for at in middles]
    assert min(healthy) == mine["app_minimum"]
    assert max(healthy) == mine["app_replicas"]


def test_values_are_escaped(toy: Lab) -> None:
    content = workspace.contents(toy, ME)["pictures/quay.svg"]
    assert words(ElementTree.fromstring(content)) == [f"<{variant(LAB4, ME)['site_name']} & co>"]


def test_long_names_are_made_small_enough(toy: Lab) -> None:
    file = toy.templates / "pictures" / "quay.svg.j2"
    text = file.read_text("utf-8")
    file.write_text(text.replace('co>")', 'co>", room=60)'), "utf-8")
    root = ElementTree.fromstring(workspace.contents(toy, ME)["pictures/quay.svg"])
    style = next(root.iter(f"{SVG}text")).get("style", "")
    size = float(re.findall(r"[\d.]+", style)[0])
    assert 55 < size * 0.6 * len(words(root)[0]) <= 60


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("{{ code(", "<b>{{ code(", "not well-formed"),
        ('"Quay"', '""', "no <title>"),
        ('"A quay called " ~ site_name', '" "', "no <desc>"),
        ("pictures/quay.svg", "pictures/quai.svg", "no such file"),
        ("A quay.", "", "without a text"),
        ("drawing.svg.j2", "drawings.svg.j2", "cannot be rendered"),
    ],
)
def test_an_author_is_told_what_is_wrong(toy: Lab, old: str, new: str, says: str) -> None:
    assert workspace.contents(toy, ME)
    changed = 0
    for file in sorted(p for p in toy.templates.rglob("*.j2")):
        text = file.read_text("utf-8")
        changed += text.count(old)
        file.write_text(text.replace(old, new), "utf-8")
    assert changed == 1
    with pytest.raises(KitError, match=says) as refused:
        workspace.contents(toy, ME)
    assert str(toy.templates) in str(refused.value.where)


def test_something_else_with_that_ending_is_no_picture(toy: Lab) -> None:
    (toy.templates / "pictures" / "page.svg").write_text("<html><body/></html>", "utf-8")
    with pytest.raises(KitError, match=r"page\.svg is not SVG"):
        workspace.contents(toy, ME)


def test_a_text_in_a_folder_shows_the_same_pictures(toy: Lab) -> None:
    (toy.templates / "knots").mkdir()
    text = toy.templates / "knots" / "README.md"
    text.write_text("![A quay.](../pictures/quay.svg)\n", "utf-8")
    assert "knots/README.md" in workspace.contents(toy, ME)
    text.write_text("![A quay.](pictures/quay.svg)\n", "utf-8")
    with pytest.raises(KitError, match="no such file"):
        workspace.contents(toy, ME)


def test_examples_in_code_show_no_picture() -> None:
    text = "![one](a.svg)\n\n```markdown\n![two](b.svg)\n```\n\n![](c.svg)\n"
    assert [(p.path, p.words) for p in pictures.shown(text)] == [("a.svg", "one"), ("c.svg", "")]


def test_another_way_of_drawing_brings_workspaces_up_to_date(
    toy: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    workspace.write(toy, ME, out)
    assert workspace.write(toy, ME, out).written == []
    drawing = tmp_path / "drawing"
    drawing.mkdir()
    text = (paths.TEMPLATES / "pictures" / "drawing.svg.j2").read_text("utf-8")
    (drawing / "drawing.svg.j2").write_text(text.replace("#eef1f4", "#eef1f5"), "utf-8")
    for module in ("workspace", "rendering"):
        monkeypatch.setattr(f"grader.handout.{module}.DRAWING", drawing)
    assert workspace.write(toy, ME, out).updated == ["pictures/quay.svg"]


def test_pictures_are_the_labs_and_go_where_the_worksheet_goes(tmp_path: Path) -> None:
    """No exercise's files, no student's edits, not compared; but the archive's worksheet shows
    them to whoever opens it."""
    workspace.write(LAB4, ME, tmp_path / "mine")
    again = workspace.write(LAB4, ME, tmp_path / "mine")
    assert (again.kept, again.written) == ([], [])
    graded = [
        name
        for exercise in LAB4.exercises
        for name in submission.read(tmp_path / "mine", exercise.folders).files
    ]
    assert [name for name in graded if "picture" in name] == []
    compared = {text.name for text in texts.read(tmp_path / "mine")}
    assert "worksheet.ipynb" in compared
    assert [name for name in compared if "picture" in name] == []
    packed = pack.pack(LAB4, ME, tmp_path / "mine", tmp_path / "out").file
    with zipfile.ZipFile(packed) as archive:
        held = {name for name in archive.namelist() if name.startswith("pictures/")}
        assert held == {f"pictures/{name}.svg" for name in DRAWN}
        assert sum(archive.getinfo(name).file_size for name in held) < 100_000
