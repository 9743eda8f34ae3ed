"""What programs say is explained; each output here was printed by the program itself."""

from __future__ import annotations

import pytest

from grader.modules.explain import NGINX, PHP, SCRIPT, Explainer, unreachable

explain = Explainer(
    "webserver",
    about=(SCRIPT, NGINX, PHP),
    packages=("nginx", "php-fpm"),
    script="provision.sh",
).explain


@pytest.mark.parametrize(
    ("output", "reason", "hint"),
    [
        ("provision.sh: line 2: $'\\r': command not found", "Windows line ends", "LF"),
        (
            "After this operation, 40 MB will be used.\nDo you want to continue? [Y/n] Abort.",
            "runs unattended",
            "install -y",
        ),
        ("E: Unable to locate package ngnix", "does not find a package ngnix.", "update"),
        ("provision.sh: line 9: systemctl: command not found", "no systemd", "service NAME"),
        ("provision.sh: line 3: sudo: command not found", "uses sudo", "leave sudo out"),
        ("php-fpm: unrecognized service", "no service named php-fpm", "/etc/init.d"),
        ("mkdir: cannot create directory ‘/var/www/x’: File exists", "/var/www/x exists", "-p"),
        ("ln: failed to create symbolic link '/a': File exists", "/a exists", "ln -sf"),
        ("cp: cannot stat 'page/.': No such file or directory", "cp does not find page/.", "site/"),
        (
            "cat: /etc/nginx/none.conf: No such file or directory",
            "cat does not find /etc/nginx/none.conf.",
            "webserver/",
        ),
        (
            "nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)",
            "cannot use port 80",
            "once",
        ),
        (
            '2026/01/02 03:04:05 [emerg] 12#12: unknown directive "lsten" in /etc/nginx/a.conf:3',
            'unknown directive "lsten" in /etc/nginx/a.conf, line 3.',
            "missing ;",
        ),
        (
            'nginx: [emerg] invalid number of arguments in "index" directive in /etc/nginx/a:5',
            'invalid number of arguments in "index" directive in /etc/nginx/a, line 5.',
            "missing ;",
        ),
        (
            "provision.sh: line 36: syntax error: unexpected end of file",
            "syntax error in line 36",
            "bash -n",
        ),
        (
            "provision.sh: line 4: unexpected EOF while looking for matching `\"'",
            "is not closed",
            "bash -n",
        ),
        ("provision.sh: line 4: ngninx: command not found", "command ngninx is not", "spelling"),
        (
            "/bin/sh: 1: curl: not found",
            "command curl is not installed",
            "install the program first",
        ),
        (
            "Dockerfile:3\nERROR: failed to solve: dockerfile parse error on line 3: unknown"
            " instruction: apt-get (did you mean ARG?)",
            "Line 3 of the Dockerfile begins with apt-get",
            "RUN",
        ),
        (
            "ERROR: failed to solve: failed to compute cache key: failed to calculate checksum of"
            ' ref abc::def: "/sites": not found',
            "COPY does not find sites in the folder",
            "webserver/",
        ),
        ("exec /start.sh: no such file or directory", "/start.sh cannot be started", "CRLF"),
        (
            'exec: "/start.sh": permission denied: unknown',
            "permission to run or read /start.sh",
            "chmod +x",
        ),
        ("exec /start.sh: exec format error", "no first line (#!…)", "#!/bin/bash"),
        (
            "curl: (6) Could not resolve host: packages.test",
            "from packages.test, which a sandbox cannot reach",
            "Debian's own packages",
        ),
        ("write /x: no space left on device", "The disk is full.", "less"),
    ],
)
def test_what_is_known_gets_a_reason_and_a_hint(output: str, reason: str, hint: str) -> None:
    known = explain(f"Reading package lists... Done\n{output}\n")
    assert known is not None
    assert reason in known.reason
    assert hint in known.hint


def test_what_is_not_known_gets_none() -> None:
    assert explain("Setting up nginx (1.22.1-9) ...\nall is well") is None


PIP = """\
WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError('<x>: Failed to
establish a new connection: [Errno -3] Temporary failure in name resolution')': /simple/flask/
ERROR: Could not find a version that satisfies the requirement flask (from versions: none)
"""


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (
            "W: Failed to fetch http://deb.test/dists/x  Temporary failure resolving 'deb.test'",
            True,
        ),
        ("Err:1 http://deb.test x\n  Could not connect to deb.test:80 (192.0.2.1)", True),
        ("Unable to connect to deb.test:http:", True),
        (PIP, True),
        ("E: Unable to locate package x", False),
        ("ERROR: No matching distribution found for falsk", False),
    ],
)
def test_packages_that_cannot_be_reached_are_told_apart(output: str, expected: bool) -> None:
    assert unreachable(output) == expected
