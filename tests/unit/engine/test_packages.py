"""What apt's own configuration says, in both of its formats."""

from __future__ import annotations

from pathlib import Path

from grader.engine import packages
from grader.engine.packages import AptSource

DEB822 = """\
# a comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian.gpg

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://sources.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: https://keys.example/apt
Suites: stable
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc: def
"""

ONE_LINE = """\
# deb http://off.example/debian bookworm main
deb http://one.example/debian bookworm main contrib # why not
deb [arch=amd64 signed-by=/k.gpg] https://two.example/apt ./
deb-src http://sources.example/debian bookworm main
"""


def _etc(tmp_path: Path) -> Path:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(ONE_LINE)
    (tmp_path / "sources.list.d" / "debian.sources").write_text(DEB822)
    (tmp_path / "sources.list.d" / "old.list.save").write_text("deb http://x.example x main\n")
    return tmp_path


def test_both_formats_are_read(tmp_path: Path) -> None:
    found = packages.apt_mirrors(_etc(tmp_path))
    assert found[0] == AptSource(("http://one.example/debian",), ("bookworm",), ("main", "contrib"))
    assert found[1] == AptSource(("https://two.example/apt",), ("./",), ())
    assert found[2] == AptSource(
        ("http://mirror.example/debian",),
        ("bookworm", "bookworm-updates"),
        ("main", "contrib"),
    )
    assert found[3].uris == ("https://keys.example/apt",)
    assert len(found) == 4


def test_the_mirror_is_the_one_of_this_release(tmp_path: Path) -> None:
    release = tmp_path / "os-release"
    etc = tmp_path / "apt"
    etc.mkdir()
    _etc(etc)
    release.write_text('ID=debian\nVERSION_CODENAME="bookworm"\n')
    assert packages.debian_mirror(etc, release) == "http://one.example/debian"
    release.write_text("ID=debian\nVERSION_CODENAME=trixie\n")
    assert packages.debian_mirror(etc, release) is None
    release.write_text("ID=ubuntu\nVERSION_CODENAME=noble\n")
    assert packages.debian_mirror(etc, release) is None


def test_sources_of_another_suite_come_from_the_same_places(tmp_path: Path) -> None:
    etc = tmp_path / "apt"
    etc.mkdir()
    _etc(etc)
    (etc / "sources.list").write_text(
        "deb http://one.example/debian bookworm main\n"
        "deb http://safe.example/security bookworm-security main\n"
    )
    release = tmp_path / "os-release"
    release.write_text("ID=debian\nVERSION_CODENAME=bookworm\n")
    best, plain, own_choice = packages.suite_sources("trixie", etc, release)
    assert best == [
        "deb http://one.example/debian trixie main",
        "deb http://one.example/debian trixie-updates main",
        "deb http://safe.example/security trixie-security main",
    ]
    assert plain == best[:1]
    assert own_choice == []
    release.write_text("ID=ubuntu\nVERSION_CODENAME=noble\n")
    assert packages.suite_sources("trixie", etc, release) == [[]]


def test_without_apt_there_is_nothing(tmp_path: Path) -> None:
    assert packages.apt_mirrors(tmp_path / "none") == []
