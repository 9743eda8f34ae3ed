"""What was handed in, unpacked safely and matched with people: `gather` is the way in."""

from grader.intake.gather import Progress, gather

__all__ = ["Progress", "gather"]
