"""What a program's output means, for someone who sees it for the first time.

    >>> explainer = Explainer("webserver", packages=["nginx"])
    >>> explainer.explain("E: Unable to locate package ngnix").reason
    'apt-get knows no package ngnix.'

The first pattern that is found decides; those that name the cause stand before those that name
only what came of it. Checks show the output itself as well: this is the sentence above it.

A hint speaks of the exercise at hand: its folder, its script, its packages, and of nginx or PHP
only where the exercise has them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from grader.text.cut import cut
from grader.text.words import both


@dataclass(frozen=True)
class Explained:
    """Why it went wrong, and what to do now."""

    reason: str
    hint: str


Pattern = tuple[str, str, str] | tuple[str, str, str, str]
"""What is looked for, the reason and the hint; and what an exercise must be about (see `Explainer`)
for the pattern to be tried.

In reason and hint `{1}`, `{2}` … stand for what the pattern's groups found, `{folder}`, `{script}`,
`{named}` and `{known}` for what the exercise says."""

SCRIPT, NGINX, PHP = "script", "nginx", "php"

GENERAL: tuple[Pattern, ...] = (
    (
        r"\$'\\r'|\\r: command not found|bash\\r|/bin/(?:ba)?sh\^M",
        "The script has Windows line ends (CRLF), which bash takes for part of each command.",
        "Save it with Unix line ends (LF): in VS Code click CRLF at the bottom right and choose"
        " LF; or run: sed -i 's/\\r$//' {script}",
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
        "COPY finds no {1}{2} in the folder {folder}/.",
        "Paths of COPY count from the folder that is built, {folder}/, and cannot lead out of it."
        " Does a .dockerignore leave it out?",
    ),
    (
        r"Do you want to continue\? \[Y/n\] Abort",
        "apt-get asked whether to go on, but the build runs unattended.",
        "Let it answer itself: apt-get install -y …",
    ),
    (
        r"E: Unable to locate package (\S+)",
        "apt-get knows no package {1}.",
        "Run apt-get update before it (in a Dockerfile in the same RUN), and check the spelling."
        " {named}",
    ),
    (
        r"E: Package '?(\S+?)'? has no installation candidate",
        "apt-get knows no package {1} that it could install.",
        "Check the spelling. {named}",
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
        "Start services with the command that works everywhere: service NAME restart",
        "script",
    ),
    (
        r"sudo: (?:command )?not found",
        "The script uses sudo, which a bare machine does not have.",
        "It runs as root already: leave sudo out.",
        "script",
    ),
    (
        r"(?<!\S)(\S+): unrecognized service",
        "There is no service named {1}.",
        "Look what it is called: ls /etc/init.d (PHP-FPM's name has its version in it).",
        "php",
    ),
    (
        r"(?<!\S)(\S+): unrecognized service",
        "There is no service named {1}.",
        "Look what it is called: ls /etc/init.d",
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
        "The script starts in the folder {folder}/: the page's files are in site/ there. Watch"
        " the spelling, and make folders before you copy into them.",
        "script",
    ),
    (
        r"(cp|mv|cat|sed|install|ln|tar|chmod|chown): (?:.{0,60}?[\s‘'’:])?([^\s‘'’:]+)['’]?:"
        r" No such file or directory",
        "{1} finds no {2}.",
        "Check the spelling, and make folders before you copy into them.",
    ),
    (
        r"bind\(\) to \S*?:(\d+) failed \(98",
        "nginx cannot have port {1}: another program holds it.",
        "Start each server once. nginx twice, or a built-in server besides it, is one too many.",
        "nginx",
    ),
    (
        r"\[emerg\] (?:\d+#\d+: ?)?(.+?) in (\S+):(\d+)",
        "nginx refuses its configuration: {1} in {2}, line {3}.",
        "Fix that line, or the one above it: a missing ; or } is noticed only afterwards.",
        "nginx",
    ),
    (
        r"\[emerg\] (?:\d+#\d+: )?(.+)",
        "nginx does not start: {1}",
        "nginx -t tells which file and line it is about.",
        "nginx",
    ),
    (
        r"(?:line (\d+): )?syntax error(?: near unexpected token|: unexpected end of file|: )(.*)",
        "bash cannot read the script: syntax error in line {1} {2}",
        "bash -n {script} finds it without running anything. Often a quote, fi, done or the"
        " last word of a here-document is missing.",
    ),
    (
        r"unexpected EOF while looking for matching (\S+)",
        "bash cannot read the script: a quote or bracket is opened and never closed ({1}).",
        "bash -n {script} finds it without running anything.",
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
        "Use what apt-get and pip install. {known}",
    ),
    (
        r"The sandbox has no way out: only|\s403  Forbidden",
        "It asks for something that a sandbox cannot get: only Debian's and Python's packages can"
        " be had there.",
        "Use what apt-get and pip install, without other sources.",
    ),
)

_UNREACHABLE = re.compile(
    r"Temporary failure resolving '|Could not connect to \S+:\d+|Unable to connect to \S+:"
    r"|Failed to fetch https?://|after connection broken by '"
)
_NOT_FETCHED = re.compile(
    r"\s503  Service Temporarily|after connection broken by .*RemoteDisconnected\("
)


class Explainer:
    """Explains what programs said in an exercise.

    `folder` is the folder that is built or run, `script` what bash runs there, `packages` are those
    that the exercise installs. `about` holds what it has to do with: SCRIPT (it is run on a bare
    machine), NGINX, PHP. `patterns` are tried in their order.
    """

    def __init__(
        self,
        folder: str,
        *,
        patterns: Sequence[Pattern] = GENERAL,
        about: Collection[str] = (),
        packages: Sequence[str] = (),
        script: str = "SCRIPT",
    ) -> None:
        names = both(packages)
        are = "is" if len(packages) == 1 else "are"
        self._words = {
            "folder": folder,
            "script": script,
            "named": f"The exercise needs {names}." if names else "",
            "known": f"{names} {are} among Debian's own packages." if names else "",
        }
        self._patterns = [
            (re.compile(seen, re.IGNORECASE | re.MULTILINE), reason, hint)
            for seen, reason, hint, *needs in patterns
            if set(needs) <= set(about)
        ]

    def explain(self, output: str) -> Explained | None:
        """What the output says went wrong; None where nothing known is in it."""
        output = cut(output)
        for pattern, reason, hint in self._patterns:
            found = pattern.search(output)
            if found:
                return self._explained(reason, hint, found.groups())
        return None

    def everything(self) -> Iterator[Explained]:
        """All that it may ever say, with dots for what a pattern finds."""
        for pattern, reason, hint in self._patterns:
            yield self._explained(reason, hint, ["…"] * pattern.groups)

    def _explained(self, reason: str, hint: str, groups: Sequence[str | None]) -> Explained:
        words = {str(n): (word or "").strip() for n, word in enumerate(groups, 1)} | self._words

        def fill(text: str) -> str:
            filled = re.sub(r"\{(\w+)\}", lambda found: words.get(found[1], found[0]), text)
            return " ".join(filled.split())

        return Explained(fill(reason), fill(hint))


def unreachable(output: str) -> bool:
    """Whether apt-get or pip says that it could not reach where packages come from."""
    return _UNREACHABLE.search(cut(output)) is not None


def not_fetched(output: str) -> bool:
    """Whether apt-get or pip says that who has packages for them could not get one."""
    return _NOT_FETCHED.search(cut(output)) is not None
