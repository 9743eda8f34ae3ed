"""Points in time as Moodle's worksheet writes them."""

from __future__ import annotations

import re
from datetime import datetime

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            ("january", "januar", "jan", "jänner"),
            ("february", "februar", "feb"),
            ("march", "märz", "mar", "mär"),
            ("april", "apr"),
            ("may", "mai"),
            ("june", "juni", "jun"),
            ("july", "juli", "jul"),
            ("august", "aug"),
            ("september", "sep", "sept"),
            ("october", "oktober", "oct", "okt"),
            ("november", "nov"),
            ("december", "dezember", "dec", "dez"),
        ),
        start=1,
    )
    for name in names
}
_DAY_MONTH = re.compile(r"\b(\d{1,2})\.?\s+([^\W\d]+)\.?,?\s+(\d{4})\b")
_MONTH_DAY = re.compile(r"\b([^\W\d]+)\.?\s+(\d{1,2}),?\s+(\d{4})\b")
_CLOCK = re.compile(r"\b(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\s*([ap])\.?m\.?)?", re.IGNORECASE)


def moodle(text: str) -> str | None:
    """A time like `Tuesday, 24 November 2026, 10:05 AM`, English or German, as ISO 8601.

    Moodle writes no time zone, so this machine's zone is used. None if the text is not such a time.
    """
    clock = _CLOCK.search(text)
    day_first, month_first = _DAY_MONTH.search(text), _MONTH_DAY.search(text)
    if clock is None:
        return None
    if day_first and day_first[2].casefold() in _MONTHS:
        day, month, year = day_first.groups()
    elif month_first and month_first[1].casefold() in _MONTHS:
        month, day, year = month_first.groups()
    else:
        return None
    hour = int(clock[1])
    if clock[4]:
        hour = hour % 12 + (12 if clock[4].casefold() == "p" else 0)
    try:
        found = datetime(
            int(year),
            _MONTHS[month.casefold()],
            int(day),
            hour,
            int(clock[2]),
            int(clock[3] or 0),
        )
        return found.astimezone().isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return None
