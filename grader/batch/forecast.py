"""How long it will still take: from the exercises that are left and what each kind took.

Exercises are unequal (one takes 20 s, another three minutes), so counts would mislead.
"""

from __future__ import annotations

from collections.abc import Iterable


class Forecast:
    """`todo` are the IDs of the exercises to be graded, one for each student and exercise."""

    def __init__(self, todo: Iterable[str]) -> None:
        self._left: dict[str, int] = {}
        for exercise in todo:
            self._left[exercise] = self._left.get(exercise, 0) + 1
        self._took: dict[str, list[float]] = {}
        self.done = 0

    @property
    def total(self) -> int:
        return self.done + sum(self._left.values())

    def finished(self, exercise: str, seconds: float) -> None:
        """One more is done and took `seconds`."""
        self._took.setdefault(exercise, []).append(seconds)
        self._left[exercise] = max(0, self._left.get(exercise, 0) - 1)
        self.done += 1

    def added(self, exercise: str) -> None:
        """One is to be graded again."""
        self._left[exercise] = self._left.get(exercise, 0) + 1

    def remaining(self, side_by_side: int) -> float | None:
        """Seconds, as a mean of what was measured; None while nothing is known.

        A kind of exercise that nobody has finished is taken to last as long as the mean of all.
        """
        every = [seconds for took in self._took.values() for seconds in took]
        if not every:
            return None
        usual = sum(every) / len(every)
        work = 0.0
        for exercise, count in self._left.items():
            took = self._took.get(exercise)
            work += count * (sum(took) / len(took) if took else usual)
        return work / max(1, min(side_by_side, sum(self._left.values()) or 1))


def spoken(seconds: float) -> str:
    """`40 s`, `12 min`, `1 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
