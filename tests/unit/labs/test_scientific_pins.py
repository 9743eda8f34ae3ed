"""Which versions a Dockerfile of exercise scientific asks for, written in any way."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from grader.lab import labfile

LAB = labfile.load("lab4")
PYTHON = {"numpy": "2.2.4", "pandas": "2.2.0"}
DEBIAN = {"python3-numpy": "1:1.24.2-1+deb12u1"}


@pytest.fixture(scope="module")
def module() -> Any:
    return importlib.import_module("labs.lab4.checks.scientific.pins")


def pinned(module: Any, folder: Path, files: dict[str, str], name: str = "numpy") -> bool:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(text.encode())
    said = module.stated(folder)
    return bool(
        module.is_pinned(name, said, PYTHON) or module.is_pinned(f"python3-{name}", said, DEBIAN)
    )


HEAD = "FROM python:3.11\n"
FROM_FILE = HEAD + "COPY {0} .\nRUN pip install -r {0}\n"
GOOD: list[dict[str, str]] = [
    {"Dockerfile": HEAD + "RUN pip install numpy==2.2.4\n"},
    {"Dockerfile": HEAD + "run pip install --no-cache-dir 'numpy == 2.2.4' scipy\n"},
    {"Dockerfile": HEAD + 'RUN ["pip", "install", "numpy==2.2.4"]\n'},
    {"Dockerfile": (HEAD + "RUN pip install \\\n  # first\n  numpy===2.2.4 \\\n x\n")},
    {"Dockerfile": (HEAD + "RUN pip install \\\n numpy==2.2.4 \\\n x\n").replace("\n", "\r\n")},
    {"Dockerfile": HEAD + "RUN pip install Numpy[extra]==2.2.4\n"},
    {"Dockerfile": "ARG V=2.2.4\n" + HEAD + "ARG V\nRUN pip install numpy==${V}\n"},
    {"Dockerfile": HEAD + "ENV V 2.2.4\nRUN pip install numpy==$V\n"},
    {"Dockerfile": HEAD + "ENV A=1 V='2.2.4'\nRUN pip install \"numpy==$V\"\n"},
    {"Dockerfile": HEAD + "RUN pip install numpy==${V:-2.2.4}\n"},
    {"Dockerfile": HEAD + "RUN V=2.2.4; pip install numpy==$V\n"},
    {"Dockerfile": HEAD + "RUN <<EOF\nset -e\npip install numpy==2.2.4\nEOF\n"},
    {"Dockerfile": HEAD + "RUN uv pip install --system numpy==2.2.4\n"},
    {"Dockerfile": HEAD + "RUN apt-get install -y python3-numpy=1:1.24.2-1+deb12u1\n"},
    {"Dockerfile": HEAD + "RUN apt-get install -y 'python3-numpy=1:1.24.2*' x\n"},
    {"Dockerfile": FROM_FILE.format("requirements.txt"), "requirements.txt": "x\nnumpy==2.2.4\n"},
    {"Dockerfile": FROM_FILE.format("r.txt"), "r.txt": "numpy==2.2.4 \\\n --hash=sha256:00\n"},
    {"Dockerfile": FROM_FILE.format("r.txt"), "r.txt": "-r more.txt\n", "more.txt": "numpy==2.2.4"},
    {"Dockerfile": FROM_FILE.format("r.txt"), "r.txt": "numpy==2.2.4; python_version > '3'\r\n"},
    {
        "Dockerfile": HEAD + "COPY a/pins.txt /tmp/c.txt\nRUN pip install -c /tmp/c.txt numpy\n",
        "a/pins.txt": "numpy==2.2.4  # as in class\n",
    },
    {
        "Dockerfile": HEAD
        + "RUN --mount=type=bind,source=req.in,target=/r pip install -r /r\n",
        "req.in": "numpy==2.2.4\n",
    },
    {
        "Dockerfile": HEAD + "COPY install.sh /\nRUN sh /install.sh\n",
        "install.sh": "pip install numpy==2.2.4\n",
    },
    {
        "Dockerfile": HEAD + "COPY . .\nRUN pip install uv && uv sync --frozen\n",
        "uv.lock": '[[package]]\nname = "numpy"\nversion = "2.2.4"\n',
    },
    {
        "Dockerfile": HEAD + "COPY . .\nRUN pipenv install --deploy --system\n",
        "Pipfile.lock": '{"default": {"numpy": {"hashes": ["x"], "index": "pypi", "version": '
        '"==2.2.4"}}}',
    },
    {
        "Dockerfile": HEAD + "COPY pyproject.toml .\nRUN pip install .\n",
        "pyproject.toml": '[project]\nname = "a"\nversion = "1"\ndependencies = ["numpy==2.2.4"]\n',
    },
]  # fmt: skip

BAD: list[dict[str, str]] = [
    {"Dockerfile": HEAD + "RUN pip install numpy\n"},
    {"Dockerfile": HEAD + "RUN pip install 'numpy>=2.2.4'\n"},
    {"Dockerfile": HEAD + "RUN pip install numpy~=2.2.4\n"},
    {"Dockerfile": HEAD + "RUN pip install numpy==2.2.*\n"},
    {"Dockerfile": HEAD + "RUN pip install 'numpy<=2.2.4,!=2.2.3'\n"},
    {"Dockerfile": HEAD + "# pip install numpy==2.2.4\nRUN pip install numpy\n"},
    {"Dockerfile": HEAD + "RUN pip install numpy # numpy==2.2.4\n"},
    {"Dockerfile": HEAD + "RUN pip install other-numpy==2.2.4 numpy\n"},
    {"Dockerfile": HEAD + "RUN pip install numpy==2.2.3 || pip install numpy\n"},
    {"Dockerfile": HEAD + "RUN apt-get install -y python3-numpy\n"},
    {"Dockerfile": HEAD + "RUN apt-get install -y python3-numpy=*\n"},
    {"Dockerfile": HEAD + "RUN apt-get install -y python3-numpy=1:*\n"},
    {"Dockerfile": HEAD + "LABEL versions=\"numpy==2.2.4\"\nRUN pip install numpy\n"},
    {"Dockerfile": HEAD + "RUN pip install numpy\n", "requirements.txt": "numpy==2.2.4\n"},
    {
        "Dockerfile": HEAD + "COPY . .\nRUN pip install numpy\n",
        "requirements.txt": "numpy==2.2.4\n",
    },
    {"Dockerfile": FROM_FILE.format("r.txt"), "r.txt": "# numpy==2.2.4\nnumpy\n"},
    {"Dockerfile": FROM_FILE.format("r.txt"), "r.txt": "numpy\n", "freeze.txt": "numpy==2.2.4\n"},
    {
        "Dockerfile": HEAD + "RUN pip install numpy\n",
        "uv.lock": 'name = "numpy"\nversion = "2.2.4"',
    },
]  # fmt: skip


@pytest.mark.parametrize("files", GOOD)
def test_a_version_that_is_named_counts(module: Any, tmp_path: Path, files: dict[str, str]) -> None:
    assert pinned(module, tmp_path, files)


@pytest.mark.parametrize("files", BAD)
def test_what_leaves_it_open_does_not_count(
    module: Any, tmp_path: Path, files: dict[str, str]
) -> None:
    assert not pinned(module, tmp_path, files)


def test_two_two_is_two_two_zero(module: Any, tmp_path: Path) -> None:
    assert pinned(module, tmp_path, {"Dockerfile": HEAD + "RUN pip install pandas==2.2"}, "pandas")
    assert not pinned(module, tmp_path, {"Dockerfile": HEAD + "RUN pip install pandas==2"}, "x")


def test_a_folder_with_anything_in_it_is_read(module: Any, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_bytes(b"FROM x\nRUN pip install -r big.txt -r odd.txt\n\xff")
    (tmp_path / "big.txt").write_bytes(b"numpy==2.2.4\n" * 100_000)
    (tmp_path / "odd.txt").write_bytes(b"\x00\xff\xfe")
    (tmp_path / "requirements.txt").mkdir()
    assert module.stated(tmp_path) == {}
