"""Estimates the remaining time from the exercises that are left and the time each kind took.

Exercises are unequal (one takes 20 s, another three minutes), so counts would mislead.
"""

from __future__ import annotations

from collections.abc import Iterable


class Forecast:
    """`todo` are the exercises to be graded, as (student, exercise)."""

    def __init__(self, todo: Iterable[tuple[str, str]]) -> None:
        self._left = set(todo)
        self._took: dict[str, list[float]] = {}
        self._began: dict[tuple[str, str], float] = {}
        self.done = 0

    @property
    def total(self) -> int:
        return self.done + len(self._left)

    def started(self, student: str, exercise: str, now: float) -> None:
        """An exercise started at `now`, in seconds on a monotonic clock."""
        self._began[student, exercise] = now

    def finished(self, student: str, exercise: str, seconds: float) -> None:
        """An exercise is finished and took `seconds`."""
        self._took.setdefault(exercise, []).append(seconds)
        self._left.discard((student, exercise))
        self.done += 1

    def added(self, student: str, exercise: str) -> None:
        """An exercise will be graded again."""
        self._left.add((student, exercise))

    def dropped(self, student: str) -> None:
        """Nothing else of this student will be graded."""
        self._left = {pair for pair in self._left if pair[0] != student}

    def remaining(self, side_by_side: int, now: float = 0.0) -> float | None:
        """Remaining seconds, from the mean of the measured times; None while nothing is known.

        If no exercise of a kind has finished, the mean of all kinds is used for it.
        """
        every = [seconds for took in self._took.values() for seconds in took]
        if not every:
            return None
        usual = sum(every) / len(every)
        each = []
        for student, exercise in self._left:
            took = self._took.get(exercise)
            whole = sum(took) / len(took) if took else usual
            ran = max(0.0, now - self._began.get((student, exercise), now))
            # One that takes longer than others did has no known end; it is soon, say.
            each.append(max(whole - ran, whole / 10))
        if not each:
            return 0.0
        # However many run side by side, the longest one has to come to its end.
        return max(sum(each) / max(1, side_by_side), max(each))


def spoken(seconds: float) -> str:
    """`40 s`, `12 min`, `1 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
