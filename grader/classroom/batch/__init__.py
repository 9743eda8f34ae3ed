"""Grading a whole class: many submissions side by side, stopped and resumed at will."""
