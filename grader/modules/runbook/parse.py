"""A runbook: a transcript of commands, one a line, each with the node it is typed on.

    >>> text = '''
    ... # step: create the swarm
    ... manager1$ docker swarm init --advertise-addr ${MANAGER1_ADDR}
    ... '''
    >>> book = parse(text, ["manager1", "worker1", "worker2"])
    >>> book.steps[0].name, book.steps[0].commands[0].node
    ('create the swarm', 'manager1')
    >>> book.steps[0].commands[0].filled({"MANAGER1_ADDR": "172.31.0.2"})
    ['docker', 'swarm', 'init', '--advertise-addr', '172.31.0.2']

What cannot be read is a problem with a line number, and that command is left out; the others
stay. Line ends of any system, tabs, `user@node:~$` as a prompt and `sudo` are all right.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from grader.modules.runbook import shellwords
from grader.modules.runbook.shellwords import Word
from grader.vetting.refusal import Refusal

VARIABLES = ("MANAGER1_ADDR", "WORKER1_ADDR", "WORKER2_ADDR", "WORKER_TOKEN", "MANAGER_TOKEN")

MAX_CHARACTERS = 64_000
MAX_COMMANDS = 200
MAX_PROBLEMS = 200
MAX_STEPS = 200

_STEP = re.compile(r"#+\s*step\b\s*(?:\d+\s*)?[:.]\s*(.*)", re.IGNORECASE)
_STEP_ALMOST = re.compile(r"#+\s*step\b(?!\w)\s*(.*)", re.IGNORECASE)
_PROMPT = re.compile(r"(?:[\w.-]+@)?(?P<node>[A-Za-z][\w.-]*)(?::[^\s$#]*)?[ ]*[$#](?!\{)")


@dataclass(frozen=True)
class Command:
    """A command as it was typed: where, and its words, `docker` first."""

    line: int
    node: str
    words: tuple[Word, ...]

    @property
    def names(self) -> frozenset[str]:
        """The names of the values it needs."""
        return frozenset(name for word in self.words for name in word.names)

    @property
    def text(self) -> str:
        """On one line, for a person."""
        typed = (shellwords.shown(str(word)) for word in self.words)
        return f"{self.node}$ " + " ".join(typed)

    def filled(self, values: Mapping[str, str]) -> list[str]:
        """Its words with the values inserted. Raises KeyError if one is missing."""
        return [word.filled(values) for word in self.words]


@dataclass(frozen=True)
class Step:
    """The commands under one `# step: NAME`; the name is empty for those above the first."""

    name: str
    line: int
    commands: tuple[Command, ...]


@dataclass(frozen=True)
class Runbook:
    """The steps in order, and the problems with commands that were left out."""

    steps: tuple[Step, ...]
    problems: tuple[Refusal, ...]


def normal(name: str) -> str:
    """A step's name without what does not matter: case, articles, punctuation.

    >>> normal("Look at the nodes.") == normal("look at nodes")
    True
    """
    words = re.findall(r"[^\W_]+", name.lower())
    return " ".join(word for word in words if word not in ("the", "a", "an"))


def parse(text: str, nodes: Collection[str], names: Collection[str] = VARIABLES) -> Runbook:
    """Read a runbook; no content makes it raise an exception.

    `nodes` are those on which commands may run, `names` those that have values.
    """
    if len(text) > MAX_CHARACTERS:
        return Runbook((), (Refusal("It is too long for a runbook.", "Keep the commands."),))
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    lines = _Lines(text, tuple(nodes), frozenset(names))
    lines.read()
    named = (Step(name, line, tuple(commands)) for name, line, commands in lines.steps)
    return Runbook(tuple(s for s in named if s.name or s.commands), tuple(lines.problems))


@dataclass
class _Lines:
    text: str
    nodes: tuple[str, ...]
    names: frozenset[str]
    problems: list[Refusal] = field(default_factory=list)
    steps: list[tuple[str, int, list[Command]]] = field(default_factory=lambda: [("", 0, [])])
    count: int = 0

    def read(self) -> None:
        at, number = 0, 1
        while at < len(self.text):
            if len(self.problems) >= MAX_PROBLEMS or len(self.steps) > MAX_STEPS:
                self._problem(
                    number,
                    "What follows is not read: the file has too many steps or problems.",
                    "Fix the lines above first.",
                )
                return
            end = self._line(at, number)
            number += self.text.count("\n", at, end + 1)
            at = end + 1

    def _line(self, at: int, number: int) -> int:
        """Read what begins at `at`; returns the end of its last line."""
        end = self.text.find("\n", at)
        end = len(self.text) if end < 0 else end
        whole = self.text[at:end].replace("\t", " ")
        line = whole.strip(" ")
        prompt = _PROMPT.match(line)
        if not line or line.startswith("#"):
            self._comment(line, number)
        elif not prompt:
            self._no_prompt(line, number)
        else:
            indent = len(whole) - len(whole.lstrip(" "))
            return self._command(prompt["node"], number, at + indent + prompt.end())
        return end

    def _comment(self, line: str, number: int) -> None:
        found = _STEP.fullmatch(line)
        if found and found[1].strip(" :"):
            self.steps.append((found[1].strip(" :"), number, []))
            return
        almost = _STEP_ALMOST.fullmatch(line)
        if found or (almost and almost[1][:1] in ("", "-", "=")):
            self._problem(number, "This begins a step without a name.", "Write # step: NAME")

    def _no_prompt(self, line: str, number: int) -> None:
        what = "This is neither a command nor a comment."
        if line.split()[0] in ("docker", "sudo", "$"):
            what = "This command does not say on which node it is typed."
        hint = (
            f"Begin commands with the node, {self.nodes[0]}$ say, and comments with #; leave out"
            " what commands answer."
        )
        self._problem(number, what, hint)

    def _command(self, node: str, number: int, at: int) -> int:
        """Read the command after a prompt; returns the end of its last line."""
        reader = shellwords.Reader(self.text, at, self.names)
        try:
            words = reader.words()
        except Refusal as error:
            self._problem(number, error.reason, error.hint)
            reader.skip()
            return reader.at
        known = {name.lower(): name for name in self.nodes}
        if words and str(words[0]) == "sudo":
            words = words[1:]
        if node.lower() not in known:
            names = ", ".join(self.nodes)
            self._problem(number, f"There is no node {node}.", f"The nodes are {names}.")
        elif words:
            self.count += 1
            if self.count <= MAX_COMMANDS:
                self.steps[-1][2].append(Command(number, known[node.lower()], tuple(words)))
            elif self.count == MAX_COMMANDS + 1:
                self._problem(number, f"There are more than {MAX_COMMANDS} commands.", "Use fewer.")
        return reader.at

    def _problem(self, line: int, reason: str, hint: str) -> None:
        self.problems.append(Refusal(reason, hint, line))
