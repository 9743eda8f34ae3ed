"""The late policy: how much a submission loses that was handed in after the deadline.

Applied in exports and in the class table only: the record says what was found, not when it came.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from grader.text.words import count


@dataclass(frozen=True)
class Late:
    """What lab.yaml says under `late`.

    `deadline` has an offset from UTC; `grace` is in minutes; `percent` of the points are lost
    per day begun after deadline and grace, but never more than `most` percent.
    """

    deadline: datetime
    grace: int
    percent: float
    most: float = 100.0


def days(submitted: datetime, policy: Late) -> int:
    """Days begun after deadline and grace; 0 for who was in time."""
    over = submitted - (policy.deadline + timedelta(minutes=policy.grace))
    return max(0, math.ceil(over / timedelta(days=1)))


def penalty(submitted: str | None, policy: Late | None) -> float:
    """The fraction of the points that is lost, 0 to 1.

    `submitted` is ISO 8601 with offset. Where nothing says when it was, nothing is lost; `words`
    says so.
    """
    moment = read(submitted)
    if policy is None or moment is None:
        return 0.0
    return min(days(moment, policy) * policy.percent, policy.most) / 100


def words(submitted: str | None, policy: Late | None) -> str:
    """What a tutor and the student read about it; "" where there is nothing to say."""
    if policy is None:
        return ""
    moment = read(submitted)
    if moment is None:
        return "time of submission unknown: no penalty"
    begun = days(moment, policy)
    if not begun:
        return ""
    return f"{count(begun, 'day')} late: minus {100 * penalty(submitted, policy):g} %"


def read(moment: str | None) -> datetime | None:
    """A time with an offset; None for none, or for a text that is no such time."""
    try:
        # Python 3.10 does not read the Z that others write for +00:00.
        found = datetime.fromisoformat((moment or "").strip().replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
