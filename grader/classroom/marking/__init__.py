"""A tutor's decisions: marks, comments, and nbgrader's gradebook."""
