"""What a program's output means, for somebody who sees it for the first time.

    >>> explain("E: Unable to locate package ngnix").reason
    'apt-get knows no package ngnix.'

The first pattern that is found decides; those that name the cause stand before those that name
only what came of it. Checks show the output itself as well: this is the sentence above it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from grader.text.cut import cut


@dataclass(frozen=True)
class Explained:
    """Why it went wrong, and what to do now."""

    reason: str
    hint: str


_PATTERNS: tuple[tuple[str, str, str], ...] = (
    (
        r"\$'\\r'|\\r: command not found|bash\\r|/bin/(?:ba)?sh\^M",
        "The script has Windows line ends (CRLF), which bash takes for part of each command.",
        "Save it with Unix line ends (LF): in VS Code click CRLF at the bottom right and choose"
        " LF; or run: sed -i 's/\\r$//' FILE",
    ),
    (
        r"no space left on device",
        "The disk is full.",
        "Install and copy less; look for a command that writes without an end.",
    ),
    (
        r"dockerfile parse error on line (\d+): unknown instruction: (\S+)",
        "Line {1} of the Dockerfile begins with {2}, which is no instruction.",
        "A command that goes on in the next line needs a \\ at its end; shell commands stand after"
        " RUN.",
    ),
    (
        r"dockerfile parse error on line (\d+): (.+)",
        "Line {1} of the Dockerfile cannot be read: {2}.",
        "Compare the line with the form in the worksheet.",
    ),
    (
        r"(?<![^\s\"])/?([^\s\"/][^\s\"]*)\"?: not found\n(?:.*\n){0,15}?.*failed to"
        r" (?:compute cache key|solve)|failed to compute cache key:.*\"/?([^\"\n]+)\": not found",
        "COPY finds no {1}{2} in the folder webserver/.",
        "Paths of COPY count from the folder that is built, webserver/, and cannot lead out of it.",
    ),
    (
        r"Do you want to continue\? \[Y/n\] Abort",
        "apt-get asked whether to go on, and nobody was there to answer.",
        "Let it answer itself: apt-get install -y …",
    ),
    (
        r"E: Unable to locate package (\S+)",
        "apt-get knows no package {1}.",
        "Run apt-get update before it (in a Dockerfile in the same RUN), and check the spelling:"
        " the packages are nginx and php-fpm.",
    ),
    (
        r"E: Package '?(\S+?)'? has no installation candidate",
        "apt-get knows no package {1} that it could install.",
        "Check the spelling: the packages are nginx and php-fpm.",
    ),
    (
        r"E: Invalid operation (\S+)",
        "apt-get has no command {1}.",
        "Check the spelling: apt-get update, apt-get install -y.",
    ),
    (
        r"E: Could not get lock (\S+)",
        "Two apt-get ran at the same time.",
        "Do not put apt-get into the background (&).",
    ),
    (
        r"systemctl: (?:command )?not found|System has not been booted with systemd",
        "The script uses systemctl, but a bare machine in a container has no systemd.",
        "Start services with the command that works everywhere: service nginx restart",
    ),
    (
        r"sudo: (?:command )?not found",
        "The script uses sudo, which a bare machine does not have.",
        "It runs as root already: leave sudo out.",
    ),
    (
        r"(?<!\S)(\S+): unrecognized service",
        "There is no service named {1}.",
        "Look what it is called: ls /etc/init.d (PHP-FPM's name has its version in it).",
    ),
    (
        r"mkdir: cannot create directory [‘'](.+?)['’]: File exists",
        "mkdir fails since {1} is there already.",
        "mkdir -p is content with a folder that is there.",
    ),
    (
        r"ln: failed to create symbolic link [‘'](.+?)['’]: File exists",
        "ln fails since {1} is there already.",
        "ln -sf puts the link in the place of the old one.",
    ),
    (
        r"(cp|mv|cat|sed|install|ln|tar|chmod|chown): (?:.{0,60}?[\s‘'’:])?([^\s‘'’:]+)['’]?:"
        r" No such file or directory",
        "{1} finds no {2}.",
        "The script starts in the folder webserver/: the page's files are in site/ there. Watch"
        " the spelling, and make folders before you copy into them.",
    ),
    (
        r"bind\(\) to \S*?:(\d+) failed \(98",
        "nginx cannot have port {1}: another program holds it.",
        "Start each server once. nginx twice, or a built-in server besides it, is one too many.",
    ),
    (
        r"\[emerg\] (?:\d+#\d+: ?)?(.+?) in (\S+):(\d+)",
        "nginx refuses its configuration: {1} in {2}, line {3}.",
        "Mend that line, or the one above it: a missing ; or } is noticed only afterwards.",
    ),
    (
        r"\[emerg\] (?:\d+#\d+: )?(.+)",
        "nginx does not start: {1}",
        "nginx -t tells which file and line it is about.",
    ),
    (
        r"(?:line (\d+): )?syntax error(?: near unexpected token|: unexpected end of file|: )(.*)",
        "bash cannot read the script: syntax error in line {1} {2}",
        "bash -n provision.sh finds it without running anything. Often a quote, fi, done or the"
        " last word of a here-document is missing.",
    ),
    (
        r"unexpected EOF while looking for matching (\S+)",
        "bash cannot read the script: a quote or bracket is opened and never closed ({1}).",
        "bash -n provision.sh finds it without running anything.",
    ),
    (
        r"(?:line \d+: |sh: \d+: )(\S+?): (?:command )?not found|exec: \"(\S+?)\": executable file"
        r" not found",
        "The command {1}{2} is not there.",
        "Check the spelling; what a bare Debian does not have must be installed first.",
    ),
    (
        r"exec (\S+?): no such file or directory|stat (\S+?): no such file or directory",
        "The container's first program {1}{2} cannot be started: there is no such file, or its"
        " first line (#!…) names a program that is not there.",
        "Is it copied to that place? Windows line ends (CRLF) in a script give the same message.",
    ),
    (
        r"exec (\S+?): permission denied|exec: \"(\S+?)\": permission denied"
        r"|(?<!\S)(\S+?): Permission denied",
        "{1}{2}{3} may not be run or read.",
        'Make a script executable (RUN chmod +x …), or name its interpreter: CMD ["bash",'
        ' "/start.sh"]',
    ),
    (
        r"exec (\S+?): exec format error",
        "{1} is no program and has no first line (#!…) that says what runs it.",
        "Write #!/bin/bash as the script's very first line.",
    ),
    (
        r"after connection broken by (?=.*HTTPSConnection)(?=.*Connection refused)",
        "pip is told to use an index of its own over https, which a sandbox cannot reach.",
        "Leave --index-url (-i) out, also in requirements.txt: packages of PyPI come without it.",
    ),
    (
        r"Could not resolve host: ([^\s;']+)|Temporary failure resolving '([^']+)'"
        r"|unable to resolve host address [‘'`\"]([^’'\"\s]+)|Failed to resolve '([^']+)'"
        r"|getaddrinfo (?:ENOTFOUND|EAI_AGAIN) (\S+)|Could not resolve '([^']+)'"
        r"|(?:Could not|Failed to) connect to (?!localhost|127\.)([^\s:.]+\.[^\s:]+)(?::| port)",
        "It asks for something from {1}{2}{3}{4}{5}{6}{7}, which cannot be reached from here: a"
        " sandbox gets Debian's and Python's packages, and nothing else.",
        "Use what apt-get and pip install: nginx and php-fpm are among Debian's own packages.",
    ),
    (
        r"The sandbox has no way out: only|\s403  Forbidden",
        "It asks for something that a sandbox cannot get: only Debian's and Python's packages can"
        " be had there.",
        "Use what apt-get and pip install, without other sources.",
    ),
)

_COMPILED = tuple((re.compile(p, re.IGNORECASE | re.MULTILINE), r, h) for p, r, h in _PATTERNS)

_UNREACHABLE = re.compile(
    r"Temporary failure resolving '|Could not connect to \S+:\d+|Unable to connect to \S+:"
    r"|Failed to fetch https?://|after connection broken by '"
)
_NOT_FETCHED = re.compile(
    r"\s503  Service Temporarily|after connection broken by .*RemoteDisconnected\("
)


def explain(output: str) -> Explained | None:
    """What the output says went wrong; None where nothing known is in it."""
    output = cut(output)
    for pattern, reason, hint in _COMPILED:
        found = pattern.search(output)
        if found:
            for number, word in enumerate(found.groups(), 1):
                reason = reason.replace(f"{{{number}}}", (word or "").strip())
            return Explained(" ".join(reason.split()), hint)
    return None


def unreachable(output: str) -> bool:
    """Whether apt-get or pip says that it could not reach where packages come from."""
    return _UNREACHABLE.search(cut(output)) is not None


def not_fetched(output: str) -> bool:
    """Whether apt-get or pip says that who has packages for them could not get one."""
    return _NOT_FETCHED.search(cut(output)) is not None
