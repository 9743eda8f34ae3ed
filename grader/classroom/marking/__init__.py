"""What a tutor decides: marks, comments, and the gradebook of nbgrader."""
