"""What a person decides: marks, comments, and the gradebook of nbgrader."""
