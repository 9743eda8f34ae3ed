"""What a submission may not say, for a person."""

from __future__ import annotations

from grader.errors import KitError


class Refused(KitError):
    """A file of a submission that cannot be taken: what, where (file, line, key), remedy."""
