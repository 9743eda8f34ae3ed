"""One submission is graded."""
