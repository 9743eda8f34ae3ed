"""What can go wrong for a user, said so that the user can fix it."""

from __future__ import annotations


class KitError(Exception):
    """Something the user can understand and act on; shown without a traceback.

    `what` is one sentence, `where` a file, line or object, `remedy` what to do now.
    `exit_code` is the command line's: 2 for bad usage or input, 3 where something
    could not be graded.
    """

    exit_code = 2

    def __init__(self, what: str, *, where: str | None = None, remedy: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        remedy = f" {self.remedy}" if self.remedy else ""
        return f"{place}{self.what}{remedy}"


class Stopped(Exception):
    """The user asked to stop."""


class NoEngine(KitError):
    """There is no Docker engine, and none can be started here."""

    exit_code = 3


class EngineFault(KitError):
    """An engine, image set or sandbox that should work does not: never the student's fault."""

    exit_code = 3


class Refused(KitError):
    """A file of a submission that cannot be taken: what, where (file, line, key), remedy."""
