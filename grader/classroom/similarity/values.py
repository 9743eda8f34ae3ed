"""Finds other students' values in a text, and the probability that they are there by chance.

Each student's values are drawn independently of all others and of what anyone writes. So for a
given text, the chance that it contains a stranger's value of one kind is known exactly: the number
of possible values of that kind in the text, divided by the number of all possible ones. From these
chances follows a bound on the chance of what was found, over all pairs of the class.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from grader.lab.model import Lab, Parameter
from grader.lab.variant import variant

CHANCE = 1e-6
"""The highest probability of a wrong hint in a class in which no one copied."""

FEWEST_VALUES = 3
"""How many values must be another student's, so that a person sees that it is not a coincidence."""

FEWEST_POSSIBLE = 10
"""Kinds with fewer possible values (counts, choices of two) prove nothing and are ignored."""

_ENUMERATED = 100_000
_WORD = re.compile(r"\w[\w-]*")
_NUMBER = re.compile(r"(?<![^\W\d])\d+(?![^\W\d])")
_BOUNDS = [n / 50 for n in range(5, 50)]


@dataclass(frozen=True)
class Found:
    """Another person whose values are in a text: their names, the rarest first."""

    person: str
    names: tuple[str, ...]
    chance: float
    """The highest probability of this for one pair of people."""


class Values:
    """The values of all `people` of a class, prepared for looking them up in texts."""

    def __init__(self, lab: Lab, people: Iterable[str]) -> None:
        self.parameters = [
            p for p in lab.parameters if p.expression is None and p.size >= FEWEST_POSSIBLE
        ]
        self.of = {p: variant(lab, p) for p in people if lab.is_student(p)}
        """Everybody's values, those that are derived from others included."""
        self._sizes = [_size(lab, parameter) for parameter in self.parameters]
        self._possible: dict[str, list[int]] = defaultdict(list)
        self._lengths = {1}
        for number, parameter in enumerate(self.parameters):
            # A kind with very many values is not written down; see `_chances`.
            for index in range(parameter.size if parameter.size <= _ENUMERATED else 0):
                self._note(self._possible, parameter.value(index), number)
        self._owners: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for person, values in self.of.items():
            for number, parameter in enumerate(self.parameters):
                gram = self._note(None, values[parameter.name], number)
                self._owners[gram].append((person, number))

    def _note(self, index: dict[str, list[int]] | None, value: int | str, number: int) -> str:
        words = _words(str(value))
        self._lengths.add(len(words) or 1)
        gram = " ".join(words)
        if index is not None:
            index[gram].append(number)
        return gram

    def grams(self, text: str) -> set[str]:
        """Everything in a text that could be a value: words, numbers, and sequences of words."""
        words = _words(text)
        found = set(words)
        for word in [w for w in found if "-" in w]:
            found.update(_NUMBER.findall(word))
        for length in self._lengths - {1}:
            found.update(" ".join(words[n : n + length]) for n in range(len(words) - length + 1))
        return found

    def own(self, person: str) -> set[str]:
        """All of a person's values; empty for a person without any."""
        return self.grams_of(person, self.of.get(person, ()))

    def grams_of(self, person: str, names: Iterable[str]) -> set[str]:
        """The grams of a person's values, in the form of `grams`."""
        return {" ".join(_words(str(self.of[person][name]))) for name in names}

    def found(self, writer: str, grams: set[str], tests: int) -> list[Found]:
        """The people whose values are in a text by `writer`, with enough certainty for `tests`
        pairs."""
        strange = grams - self.own(writer)
        matches: dict[str, set[int]] = defaultdict(set)
        for gram in strange & self._owners.keys():
            for person, number in self._owners[gram]:
                if person != writer:
                    matches[person].add(number)
        candidates = {p: n for p, n in matches.items() if len(n) >= FEWEST_VALUES}
        if not candidates:
            return []
        chances = self._chances(strange)
        told = []
        for person, numbers in candidates.items():
            chance = bound(chances, numbers)
            if chance * tests <= CHANCE:
                told.append(Found(person, self._names(numbers, chances), chance))
        return sorted(told, key=lambda found: (found.chance, found.person))

    def shared(self, people: Sequence[str], grams: set[str], tests: int) -> tuple[str, ...]:
        """The values of one of `people` in a file that they all have and that do not belong to all.

        Empty unless the values are improbable: even someone who wrote all of them by mistake would
        match those of a member of the class with a probability of at most one in a thousand.
        """
        chances = self._chances(grams)
        for person in people:
            numbers = {
                number
                for number, parameter in enumerate(self.parameters)
                if chances[number] > 0
                and " ".join(_words(str(self.of[person][parameter.name]))) in grams
                and any(
                    self.of[other][parameter.name] != self.of[person][parameter.name]
                    for other in people
                )
            }
            if math.prod(chances[n] for n in numbers) * tests <= 1e-3:
                return self._names(numbers, chances)
        return ()

    def _chances(self, grams: set[str]) -> list[float]:
        """For each kind, the chance that someone's value of it is among `grams`."""
        counts = [0] * len(self.parameters)
        for gram in grams & self._possible.keys():
            for number in self._possible[gram]:
                counts[number] += 1
        for number, parameter in enumerate(self.parameters):
            if parameter.size > _ENUMERATED:
                # Not more of its values are in the text than the text has words.
                counts[number] = len(grams)
        return [min(1.0, count / size) for count, size in zip(counts, self._sizes, strict=True)]

    def _names(self, numbers: Iterable[int], chances: Sequence[float]) -> tuple[str, ...]:
        ranked = sorted(numbers, key=lambda n: (chances[n], n))
        return tuple(self.parameters[n].name for n in ranked)


def bound(chances: Sequence[float], hits: Iterable[int]) -> float:
    """The highest probability that a stranger's values match a text as well as these `hits`.

    `chances` are those of the kinds. The smaller the product of its kinds' chances, the better a
    match. This is Chernoff's bound for the sum of the logarithms.
    """
    weights = [-math.log(chances[n]) for n in hits if chances[n] > 0]
    score = sum(weights)
    possible = [chance for chance in chances if chance > 0]
    best = min(
        sum(math.log(1 - chance + chance ** (1 - at)) for chance in possible) - at * score
        for at in _BOUNDS
    )
    return math.exp(min(0.0, best))


def _size(lab: Lab, parameter: Parameter) -> int:
    """The number of possible values, without those that another value of the student may take."""
    rivals = {name for group in lab.distinct if parameter.name in group for name in group}
    return max(1, parameter.size - len(rivals - {parameter.name}))


def _words(text: str) -> list[str]:
    return [word.rstrip("-") for word in _WORD.findall(text)]
