"""Whether what came of a class is what its cases say: sentences about all that is not so."""

from __future__ import annotations

import csv
import html.parser
import io
import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.hostile.cases import Case
from tests.hostile.layout import Member
from tests.hostile.run import Ran

MEMORY = 1_000_000_000
"""Bytes that no process of the grader may need, whatever is handed in."""

READING = frozenset(
    (
        *("counter_file", "counter_images", "counter_services", "life_runbook", "runbook"),
        *("blog_file", "blog_images", "blog_services", "stack_file", "voting_file"),
        *("script_present", "base_allowed"),
    )
)
"""Checks that only read a file: points for them are no points for what a refused file would do."""

ACTIVE = re.compile(r"on\w+|href|src|srcdoc|style|action|formaction|xlink:href")
"""Attributes in which a stranger's text would do something."""


@dataclass
class Verdict:
    """`wrong` is what is not as it must be for each name, empty where all is well.

    `shared` is what one of the class did, no one knows which.
    """

    wrong: dict[str, list[str]] = field(default_factory=dict)
    shared: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.shared and not any(self.wrong.values())


def judge(ran: Ran, canaries: list[str], secrets: dict[str, str]) -> Verdict:
    """`canaries` is what they noticed, `secrets` the texts that must be nowhere."""
    shared = [*canaries, *(f"Something was left: {line}" for line in ran.left)]
    shared += [f"What was handed in was changed: {name}" for name in ran.changed]
    if ran.code is None:
        shared.append("The grader did not end.")
    elif ran.code not in (0, 1, 2, 3):
        shared.append(f"The grader ended with code {ran.code}: {ran.said[-600:]}")
    if ran.peak > MEMORY:
        shared.append(f"A process of the grader had {ran.peak // 1_000_000} MB.")
    if "Traceback (most recent" in ran.said:
        shared.append(f"The grader broke: {ran.said[-600:]}")
    shared += list(written(ran, secrets))
    if any(member.case and member.case.private for member in ran.group):
        shared += [f"Others can read the results: {line}" for line in too_open(ran.out)[:5]]
    listed = _json(ran.out / "class.json") or {}
    wrong = {member.name: list(_member(member, ran, listed)) for member in ran.group}
    return Verdict(wrong, shared)


def _member(member: Member, ran: Ran, listed: dict[str, Any]) -> Iterator[str]:
    entries = {entry["person"]["id"]: entry for entry in listed.get("entries", ())}
    entry = entries.get(member.student, {})
    refused, remarks = entry.get("refused"), " ".join(entry.get("remarks") or ())
    record = _record(ran, member)
    case = member.case
    if case is None:
        yield from _correct(record)
        return
    if case.must == "not unpacked":
        told = refused or "; ".join(str(one) for one in listed.get("unmatched", ()))
        told += "" if listed else ran.said
        if record is not None:
            yield f"It was graded: {_shown(record)}"
        elif case.word.lower() not in told.lower():
            yield f"No word of {case.word!r}: {told or 'not a word about it'}"
        return
    if refused:
        yield f"It was not unpacked: {refused}"
        return
    if record is None and (case.door, case.must, ran.code) == ("check", "contained", 2):
        return  # The command says what is wrong with the workspace, and does nothing.
    if record is None:
        yield f"There is no record of it. {ran.said[-400:]}"
        return
    yield from _graded(case, record, remarks)


def _graded(case: Case, record: dict[str, Any], remarks: str) -> Iterator[str]:
    checks = [check for exercise in record["exercises"] for check in exercise["checks"]]
    named = {check["id"].partition(".")[2]: check for check in checks}
    failed = [check for check in checks if check["outcome"] == "failed"]
    if record["gradable"] == (case.must == "not graded"):
        yield f"It is {'' if record['gradable'] else 'not '}gradable: {_shown(record)}"
    lost = {n for n in named if n.startswith(case.lost)} if case.lost else set()
    if case.must == "refused":
        lost |= {name for name in named if name not in READING and _of(name, case)}
    for name in sorted(lost):
        if named[name]["points"]:
            yield f"It has points for {name}."
    told = failed if case.must == "refused" else checks
    keys = ("reason", "expected", "actual", "hint") if case.must == "refused" else None
    texts = [_cause(check, keys) for check in told] + [remarks]
    texts += [str(exercise.get("fault") or "") for exercise in record["exercises"]]
    if case.word and not any(case.word.lower() in text.lower() for text in texts):
        yield f"No word of {case.word!r}: {_shown(record)}"
    if case.must in ("refused", "failed") and not failed:
        yield "No check failed."


def _of(name: str, case: Case) -> bool:
    """Whether a check is about what the case hands in."""
    begins = {"counter": "counter_", "blog": "blog_", "compose": "life_"}
    if case.exercise != "compose" or case.folders is None:
        return not name.startswith("voting_")
    return name.startswith(tuple(begins[folder] for folder in case.folders))


def _correct(record: dict[str, Any] | None) -> Iterator[str]:
    """The correct submission beside them: the checks of what it hands in have all points."""
    if record is None:
        yield "The correct submission was not graded."
        return
    checks = [check for exercise in record["exercises"] for check in exercise["checks"]]
    own = [c for c in checks if not c["id"].startswith(("compose.blog", "compose.life"))]
    own = [c for c in own if not c["id"].startswith("rollout.voting") or c["outcome"] == "passed"]
    for check in own:
        # What this machine cannot show (no ip_vs in its kernel) has no points to lose.
        if check["outcome"] != "passed" and check["why"] != "target":
            yield f"The correct submission lost points: {check['id']}: {_cause(check, None)[:500]}"


def written(ran: Ran, secrets: dict[str, str]) -> Iterator[str]:
    """What stands in files that it must not: secrets, markup, formulas, rights for others."""
    texts = {"the command's output": ran.said}
    for place, folders, files in os.walk(ran.out):
        if "submissions" in folders and Path(place) == ran.out:
            folders.remove("submissions")
        for name in files:
            path = Path(place, name)
            texts[path.relative_to(ran.out).as_posix()] = path.read_text("utf-8", "replace")
    for name, text in texts.items():
        for what, secret in secrets.items():
            if secret in text:
                yield f"The secret of the {what} stands in {name}."
        if name.endswith(".html"):
            yield from (f"{name}: {wrong}" for wrong in markup(text))
        if name.endswith(".csv"):
            yield from (f"{name}: a cell begins like a formula: {cell}" for cell in formulas(text))
    if "\x1b" in ran.said:
        at = ran.said.index("\x1b")
        yield f"Control characters of a terminal are printed: {ran.said[at : at + 60]!r}"


def markup(page: str) -> list[str]:
    """Where a stranger's text is more than text in a page."""
    found = _Marked()
    found.feed(page)
    return found.wrong


class _Marked(html.parser.HTMLParser):
    """Cases write their mark wherever they try to put markup."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag if tag in ("script", "style") else ""
        if "hostiles9" in tag:
            self.wrong.append(f"a tag of a stranger's: {tag}")
        for name, value in attrs:
            if "hostiles9" in name or ("hostiles9" in (value or "") and ACTIVE.fullmatch(name)):
                self.wrong.append(f"an attribute of a stranger's: {name}={value!r:.80}")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside and "hostiles9" in data:
            self.wrong.append(f"a stranger's text in a {self._inside}: {data[:80]!r}")


def formulas(text: str) -> list[str]:
    """Cells that a spreadsheet would work out, of those that a stranger wrote."""
    rows = csv.reader(io.StringIO(text.lstrip("\ufeff")))
    return [c[:60] for row in rows for c in row if "hostiles9" in c and c[:1] in tuple("=+-@\t\r")]


def too_open(out: Path) -> list[str]:
    """Results that other users of the machine can read or change."""
    found = []
    for place, folders, files in os.walk(out):
        for name in (*folders, *files):
            path = Path(place, name)
            mode = stat.S_IMODE(path.lstat().st_mode)
            if mode & 0o077 and not path.is_symlink():
                found.append(f"{path.relative_to(out).as_posix()} is {mode:o}")
        if Path(place) == out:
            folders[:] = [f for f in folders if f != "submissions"]
    if stat.S_IMODE(out.stat().st_mode) & 0o077:
        found.append(f"the results folder is {stat.S_IMODE(out.stat().st_mode):o}")
    return found


def _record(ran: Ran, member: Member) -> dict[str, Any] | None:
    return _json(ran.out / "records" / f"{member.student}.json") or _json(ran.out / "record.json")


def _json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _cause(check: dict[str, Any], keys: tuple[str, ...] | None) -> str:
    cause = check.get("cause") or {}
    return " ".join(
        str(value) for key, value in cause.items() if value and (keys is None or key in keys)
    )


def _shown(record: dict[str, Any]) -> str:
    """The first checks that did not pass, for a person."""
    checks = [check for exercise in record["exercises"] for check in exercise["checks"]]
    told = [
        f"{c['id']} {c['outcome']}: {_cause(c, ('reason', 'actual'))[:300]}"
        for c in checks
        if c["outcome"] != "passed" and c.get("why") != "needs"
    ]
    return f"{record['score']:g} of {record['max_score']:g} points; " + "; ".join(told[:4])
