"""Explains the output of programs to someone who sees it for the first time.

    >>> explainer = Explainer("webserver", packages=["nginx"])
    >>> explainer.explain("E: Unable to locate package ngnix").reason
    'apt-get does not find a package ngnix.'

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
        "The script has Windows line ends (CRLF). bash reads the CR as part of each command.",
        "Save it with Unix line ends (LF): in VS Code click CRLF at the bottom right and choose"
        " LF; or run: sed -i 's/\\r$//' {script}",
    ),
    (
        r"no space left on device",
        "The disk is full.",
        "Install and copy less, or find the command that never stops writing.",
    ),
    (
        r"dockerfile parse error on line (\d+): unknown instruction: (\S+)",
        "Line {1} of the Dockerfile begins with {2}, which is not an instruction.",
        "A command that continues in the next line needs a \\ at its end. Shell commands go after"
        " RUN.",
    ),
    (
        r"dockerfile parse error on line (\d+): (.+)",
        "Line {1} of the Dockerfile cannot be read: {2}.",
        "Compare the line with the example in the worksheet.",
    ),
    (
        r"(?<![^\s\"])/?([^\s\"/][^\s\"]*)\"?: not found\n(?:.*\n){0,15}?.*failed to"
        r" (?:compute cache key|solve)|failed to compute cache key:.*\"/?([^\"\n]+)\": not found",
        "COPY does not find {1}{2} in the folder {folder}/.",
        "Paths of COPY start at the folder that is built, {folder}/, and cannot leave it. Check "
        "also that no .dockerignore excludes the file.",
    ),
    (
        r"Do you want to continue\? \[Y/n\] Abort",
        "apt-get asked whether to go on, but the build runs unattended.",
        "Use the option -y: apt-get install -y …",
    ),
    (
        r"E: Unable to locate package (\S+)",
        "apt-get does not find a package {1}.",
        "Run apt-get update before it (in a Dockerfile in the same RUN), and check the spelling."
        " {named}",
    ),
    (
        r"E: Package '?(\S+?)'? has no installation candidate",
        "apt-get does not find a package {1} to install.",
        "Check the spelling. {named}",
    ),
    (
        r"E: Invalid operation (\S+)",
        "apt-get has no command {1}.",
        "Check the spelling: apt-get update, apt-get install -y.",
    ),
    (
        r"E: Could not get lock (\S+)",
        "Two apt-get commands ran at the same time.",
        "Do not put apt-get into the background (&).",
    ),
    (
        r"systemctl: (?:command )?not found|System has not been booted with systemd",
        "The script uses systemctl, but this machine has no systemd.",
        "Start services with: service NAME restart",
        "script",
    ),
    (
        r"sudo: (?:command )?not found",
        "The script uses sudo, which is not installed on a bare machine.",
        "The script runs as root already: leave sudo out.",
        "script",
    ),
    (
        r"(?<!\S)(\S+): unrecognized service",
        "There is no service named {1}.",
        "List the names: ls /etc/init.d (PHP-FPM's name contains its version).",
        "php",
    ),
    (
        r"(?<!\S)(\S+): unrecognized service",
        "There is no service named {1}.",
        "List the names: ls /etc/init.d",
    ),
    (
        r"mkdir: cannot create directory [‘'](.+?)['’]: File exists",
        "mkdir fails because {1} exists already.",
        "Use mkdir -p: it accepts a folder that exists.",
    ),
    (
        r"ln: failed to create symbolic link [‘'](.+?)['’]: File exists",
        "ln fails because {1} exists already.",
        "Use ln -sf: it replaces the old link.",
    ),
    (
        r"(cp|mv|cat|sed|install|ln|tar|chmod|chown): (?:.{0,60}?[\s‘'’:])?([^\s‘'’:]+)['’]?:"
        r" No such file or directory",
        "{1} does not find {2}.",
        "The script starts in the folder {folder}/; the page's files are in site/ there. Check "
        "the spelling, and make folders before you copy into them.",
        "script",
    ),
    (
        r"(cp|mv|cat|sed|install|ln|tar|chmod|chown): (?:.{0,60}?[\s‘'’:])?([^\s‘'’:]+)['’]?:"
        r" No such file or directory",
        "{1} does not find {2}.",
        "Check the spelling, and make folders before you copy into them.",
    ),
    (
        r"bind\(\) to \S*?:(\d+) failed \(98",
        "nginx cannot use port {1}: another program uses it.",
        "Start each server once. A second nginx, or a built-in server beside it, takes the port.",
        "nginx",
    ),
    (
        r"\[emerg\] (?:\d+#\d+: ?)?(.+?) in (\S+):(\d+)",
        "nginx refuses its configuration: {1} in {2}, line {3}.",
        "Fix that line or the one above it: nginx notices a missing ; or } only later.",
        "nginx",
    ),
    (
        r"\[emerg\] (?:\d+#\d+: )?(.+)",
        "nginx does not start: {1}",
        "nginx -t shows the file and the line.",
        "nginx",
    ),
    (
        r"(?:line (\d+): )?syntax error(?: near unexpected token|: unexpected end of file|: )(.*)",
        "bash cannot read the script: syntax error in line {1} {2}",
        "bash -n {script} checks the script without running it. Often a quote, fi, done or the "
        "last word of a here-document is missing.",
    ),
    (
        r"unexpected EOF while looking for matching (\S+)",
        "bash cannot read the script: a quote or bracket is not closed ({1}).",
        "bash -n {script} checks the script without running it.",
    ),
    (
        r"(?:line \d+: |sh: \d+: )(\S+?): (?:command )?not found|exec: \"(\S+?)\": executable file"
        r" not found",
        "The command {1}{2} is not installed.",
        "Check the spelling, and install the program first: a bare Debian has few programs.",
    ),
    (
        r"exec (\S+?): no such file or directory|stat (\S+?): no such file or directory",
        "The container's first program {1}{2} cannot be started: the file does not exist, or its "
        "first line (#!…) names a program that does not exist.",
        "Check that it is copied to that path. Windows line ends (CRLF) in a script give the same "
        "message.",
    ),
    (
        r"exec (\S+?): permission denied|exec: \"(\S+?)\": permission denied"
        r"|(?<!\S)(\S+?): Permission denied",
        "There is no permission to run or read {1}{2}{3}.",
        'Make a script executable (RUN chmod +x …), or name its interpreter: CMD ["bash",'
        ' "/start.sh"]',
    ),
    (
        r"exec (\S+?): exec format error",
        "{1} is not a program, and it has no first line (#!…) that names its interpreter.",
        "Write #!/bin/bash as the script's very first line.",
    ),
    (
        r"after connection broken by (?=.*HTTPSConnection)(?=.*Connection refused)",
        "pip uses another index over https, which a sandbox cannot reach.",
        "Leave --index-url (-i) out, also in requirements.txt: pip gets PyPI's packages without "
        "it.",
    ),
    (
        r"Could not resolve host: ([^\s;']+)|Temporary failure resolving '([^']+)'"
        r"|unable to resolve host address [‘'`\"]([^’'\"\s]+)|Failed to resolve '([^']+)'"
        r"|getaddrinfo (?:ENOTFOUND|EAI_AGAIN) (\S+)|Could not resolve '([^']+)'"
        r"|(?:Could not|Failed to) connect to (?!localhost|127\.)([^\s:.]+\.[^\s:]+)(?::| port)",
        "It needs something from {1}{2}{3}{4}{5}{6}{7}, which a sandbox cannot reach: it gets "
        "only Debian and Python packages.",
        "Use packages that apt-get and pip install. {known}",
    ),
    (
        r"The sandbox has no way out: only|\s403  Forbidden",
        "It needs something that a sandbox cannot get: only Debian and Python packages are "
        "available there.",
        "Use packages that apt-get and pip install, without other sources.",
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
