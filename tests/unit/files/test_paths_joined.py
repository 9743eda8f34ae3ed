"""No code joins a stranger's text to a path: each join that there is has a reason, here.

A submission's text becomes a path in `grader.files.submitted_path` only. Which texts are whose
cannot be seen in a program, so that every join of something that is no constant is listed with the
reason why it is no text of a submission (or why that is harmless). A new one fails this test: use
`paths.checked` with `paths.read_below` or `grader.files.safe_folder`, or add it below with its
reason.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader import paths

MODULES = (
    *("grader/vetting/*.py", "grader/files/*.py", "grader/submission/**/*.py"),
    *("grader/handout/*.py", "grader/modules/**/*.py", "labs/*/checks/**/*.py"),
    *(f"grader/classroom/{wing}/*.py" for wing in ("intake", "similarity", "marking")),
    *(f"grader/classroom/{name}.py" for name in ("csvfile", "pseudonym", "results")),
    *("grader/cli/watching.py", "grader/grading/plugin.py"),
)
"""Where submissions, workspaces and results are read."""

REASONS: dict[str, dict[str, set[str]]] = {
    "the one place where it is done": {
        "grader/files/submitted_path.py": {
            "PurePosixPath(*parts)",
            "place / part",
            "folder.joinpath(*path.parts)",
            "os.open(folder, os.O_RDONLY | os.O_DIRECTORY)",
            "os.open(folder.joinpath(*path.parts), os.O_RDONLY | getattr(os, 'O_BINARY', 0))",
            "os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)",
            "os.open(path.parts[-1], flags, dir_fd=handle)",
        },
        "grader/files/safe_folder.py": {
            "folder / path",
            "place / part",
            "self.folder / name",
            "os.open(folder, os.O_RDONLY | os.O_DIRECTORY)",
            "os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)",
            "os.open(temporary, flags, mode, dir_fd=parent.handle)",
        },
    },
    "checked before, or checked with it": {
        "grader/submission/archives/unpack.py": {
            "self.folder.joinpath(*path)",  # names.check
            "folder / path[0]",
        },
        "grader/classroom/intake/git.py": {"PurePosixPath('.git') / checked(name, '.git/HEAD')"},
        "grader/classroom/intake/layouts.py": {"scratch / name"},  # names.check, or names.safe
        "grader/classroom/results.py": {
            # results.load and Lab.is_student
            "self.folder / 'submissions' / student",
            "self.folder / 'records' / f'{student}.json'",
            "self.folder / 'feedback' / f'{student}.html'",
        },
        "grader/classroom/intake/gather.py": {"out / 'submissions' / person.id"},
        "grader/handout/workspace.py": {"paths.workspaces() / lab.id / student"},
        "grader/vetting/compose.py": {"context / texts.get('dockerfile', 'Dockerfile')"},
        "grader/modules/compose.py": {"PurePosixPath(folder, env_file)"},
        "grader/modules/submitted.py": {
            "PurePosixPath(ROOT, name, path)",
            "PurePosixPath(each)",
            "PurePosixPath(f'{each}.dockerignore')",
            "folder / f'{each}.dockerignore'",
        },
    },
    "names that the system has listed: one name each, no path": {
        "grader/classroom/intake/unpacking.py": {"root / path.name"},
        "grader/submission/archives/members.py": {"PurePosixPath(*below.parts)", "Path(path.name)"},
        "grader/classroom/intake/fingerprint.py": {"Path(folder, f)", "Path(folder, name)"},
        "grader/classroom/similarity/texts.py": {
            "Path(entry.path)",
            "PurePosixPath(path.relative_to(folder).as_posix())",
        },
        "grader/submission/files.py": {
            "PurePosixPath(name)",
            "dest / name",
            "self.workspace / name",
        },
        "grader/cli/watching.py": {"Path(entry.path)"},
        "grader/vetting/stack.py": {"folder / file_name"},
    },
    "the lab's own names": {
        "grader/modules/files.py": {"folder / name"},
        "grader/submission/pack.py": {"folder / name(lab, student)", "workspace / folder"},
        "grader/classroom/intake/unpacking.py": {"root / name"},
        "grader/classroom/intake/workspace.py": {"root / name", "root / f'.{name}.renamed'"},
        "grader/handout/pictures.py": {"posixpath.join(posixpath.dirname(name), picture.path)"},
        "grader/modules/runbook/vetted.py": {"submission / file"},
        "grader/submission/files.py": {"workspace / folder"},
        "grader/cli/watching.py": {"self.workspace / folder"},
        "labs/lab4/checks/compose/app.py": {
            "submission / folder",
            "submission / self.folder",
            "self.node.workspace / self.folder",
        },
    },
    "the kit's own names, and what this process or its parent has made": {
        "grader/submission/pack.py": {
            "Path(scratch) / 'files'",
            "Path(scratch) / 'archive.zip'",
            "Path(scratch) / 'again'",
            "place / each",
        },
        "grader/handout/workspace.py": {"paths.KIT / 'grader' / wing"},
        "grader/submission/archives/unpack.py": {
            "Path(tempfile.mkdtemp(dir=dest.parent, prefix=f'.{dest.name[:40]}.'))"
        },
        "grader/classroom/intake/gather.py": {
            "Path(tempfile.mkdtemp(dir=out, prefix=_TEMPORARY))",
            "Path(tempfile.mkdtemp(dir=scratch)) / 'old'",
            "out.glob(f'{_TEMPORARY}*')",
            "scratch / listed.file.name",
            "scratch / str(number)",
        },
        "grader/classroom/intake/git.py": {"Path(own)", "clone / objects"},
        "grader/classroom/intake/unpacking.py": {"self.scratch / f'open-{self.archives}'"},
        "grader/files/private.py": {
            "Path(temporary)",
            "os.open(path, flags, FILE)",
            "os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)",
            "os.open(path, os.O_RDONLY | getattr(os, 'O_NONBLOCK', 0)"
            " | getattr(os, 'O_BINARY', 0))",
            "path / name",
        },
        "grader/classroom/results.py": {"found.folder / name"},
        "grader/vetting/compose.py": {"folder / n"},
        "grader/vetting/envfile.py": {"PurePosixPath(path.name)"},
        "grader/vetting/yamlfile.py": {"PurePosixPath(path.name)"},
        "grader/modules/submitted.py": {"folder / each"},
    },
    "the user's own words on the command line": {
        "grader/handout/workspace.py": {
            "Path.cwd() / name",
            "Path.cwd() / out",
            "Path(os.path.normpath(Path.cwd() / name))",
            "Path(os.path.normpath(Path.cwd() / out))",
            "Path(os.path.normpath(name))",
        },
    },
    "shown to a person or compared, never opened": {
        "grader/classroom/intake/unpacking.py": {"Path(error.where)"},
        "grader/modules/compose_projects.py": {"Path(other.folder)", "Path(told)"},
    },
    "arithmetic": {
        "grader/classroom/similarity/values.py": {"count / size"},
        "labs/lab4/checks/scientific/picture.py": {"max(seen.values()) / (width * height)"},
    },
}

_CLASSES = {"Path", "PurePath", "PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath"}
_METHODS = {"joinpath", "with_name", "with_stem", "with_suffix", "glob", "rglob"}
_FUNCTIONS = {f"{module}.join" for module in ("os.path", "posixpath", "ntpath")}
_FUNCTIONS |= {"os.open", "io.open", "open"}


def joins(source: str) -> Iterator[str]:
    """The expressions of a program that make a path of something that is no constant.

    The longest ones: of `a / b / c` only the whole. A name in capitals is a constant.
    """
    tree = ast.parse(source)
    inner = {
        id(node.left)
        for node in ast.walk(tree)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and _joins(node)
    }
    for node in ast.walk(tree):
        if _joins(node) and id(node) not in inner:
            yield ast.unparse(node)


def _joins(node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return not _is_constant(node.right) or _joins(node.left)
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Div):
        return not _is_constant(node.value)
    if not isinstance(node, ast.Call) or all(map(_is_constant, node.args)):
        return False
    called = ast.unparse(node.func)
    last = called.rpartition(".")[2]
    if last in _METHODS:
        return isinstance(node.func, ast.Attribute)
    return last in _CLASSES or called in _FUNCTIONS


def _is_constant(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return True
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name.isupper()


def found_in(root: Path) -> dict[str, set[str]]:
    """The joins of all modules, by their path."""
    files = sorted({file for pattern in MODULES for file in root.glob(pattern)})
    found = {
        file.relative_to(root).as_posix(): set(joins(file.read_text(encoding="utf-8")))
        for file in files
    }
    return {file: here for file, here in found.items() if here}


def listed() -> dict[str, set[str]]:
    known: dict[str, set[str]] = {}
    for files in REASONS.values():
        for file, expressions in files.items():
            known.setdefault(file, set()).update(expressions)
    return known


def test_every_join_has_its_reason() -> None:
    found, known = found_in(paths.KIT), listed()
    new = {file: more for file, here in found.items() if (more := here - known.get(file, set()))}
    assert new == {}, "Use grader.files.submitted_path, or say in REASONS whose text this is."


def test_no_reason_is_left_over() -> None:
    found, known = found_in(paths.KIT), listed()
    old = {file: more for file, here in known.items() if (more := here - found.get(file, set()))}
    assert old == {}, "These joins are gone: take them out of REASONS."


@pytest.mark.parametrize(
    "line",
    [
        "workspace / name",
        "workspace / 'site' / name",
        "workspace / f'{name}.txt'",
        "workspace / name / 'index.html'",
        "workspace / names[0]",
        "workspace.joinpath(*name.split('/'))",
        "file.with_name(name)",
        "Path(name)",
        "pathlib.PurePosixPath(folder, name)",
        "os.path.join(workspace, name)",
        "open(name)",
        "os.open(name, flags)",
        "workspace.glob(name)",
    ],
)
def test_a_new_join_is_noticed(line: str) -> None:
    assert line in set(joins(f"def read(workspace, name):\n    return {line}\n"))


@pytest.mark.parametrize(
    "line",
    [
        "out / 'class.json'",
        "out / FILE",
        "out / handout.STATE",
        "total / 2",
        "Path('x')",
        "f.open()",
    ],
)
def test_constants_are_no_joins(line: str) -> None:
    assert list(joins(line)) == []


def test_a_join_in_place_is_noticed() -> None:
    assert list(joins("place /= name")) == ["place /= name"]


def test_a_new_module_of_the_packages_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "grader/classroom/intake").mkdir(parents=True)
    (tmp_path / "grader/classroom/intake/new.py").write_text("workspace / name\n", encoding="utf-8")
    assert found_in(tmp_path) == {"grader/classroom/intake/new.py": {"workspace / name"}}
