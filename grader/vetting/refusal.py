"""Why a part of a submission is not run or built."""

from __future__ import annotations


class Refusal(Exception):
    """Says to a person what is not allowed or cannot be read, and what to write instead.

    `line` is counted from 1; 0 is the whole file, or not known yet.
    """

    def __init__(self, reason: str, hint: str, line: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
        self.line = line
