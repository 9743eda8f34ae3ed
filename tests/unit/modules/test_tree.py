"""What changed between two looks at a container's files is said in words."""

from __future__ import annotations

import hashlib

from grader.modules.tree import Entry, changes, difference


def file(content: bytes, mode: int = 0o644, owner: str = "0:0", keep: bool = True) -> Entry:
    digest = hashlib.sha256(content).hexdigest()
    return Entry("file", mode, owner, digest, content if keep else None)


def test_equal_looks_have_no_changes() -> None:
    look = {"/etc/a": file(b"x"), "/etc": Entry("folder", 0o755, "0:0", "")}
    assert changes(look, dict(look)) == []
    assert difference(look, dict(look)) == ""


def test_each_kind_of_change_is_one_sentence_in_order() -> None:
    before = {
        "/etc/changed": file(b"one"),
        "/etc/gone": file(b""),
        "/etc/grown": file(b"a\n"),
        "/etc/link": Entry("link", 0, "0:0", "a"),
        "/etc/mode": file(b"m"),
        "/etc/owner": file(b"o"),
    }
    after = {
        "/etc/changed": file(b"two"),
        "/etc/grown": file(b"a\na\n"),
        "/etc/link": Entry("link", 0, "0:0", "b"),
        "/etc/mode": file(b"m", mode=0o600),
        "/etc/new": file(b""),
        "/etc/owner": file(b"o", owner="33:33"),
    }
    assert changes(before, after) == [
        "/etc/changed has changed",
        "/etc/gone is gone",
        "/etc/grown has changed (something was appended to it)",
        "/etc/link has changed",
        "/etc/mode has another owner or other permissions",
        "/etc/new is new",
        "/etc/owner has another owner or other permissions",
    ]


def test_the_difference_shows_lines_and_leaves_large_files_out() -> None:
    before = {"/a": file(b"x\ny\n"), "/large": file(b"1", keep=False)}
    after = {"/a": file(b"x\nz\n"), "/large": file(b"2", keep=False), "/b": file(b"new\n")}
    assert difference(before, after).splitlines() == [
        "--- /a before",
        "+++ /a after",
        "@@ -1,2 +1,2 @@",
        " x",
        "-y",
        "+z",
        "--- /b before",
        "+++ /b after",
        "@@ -0,0 +1 @@",
        "+new",
    ]
