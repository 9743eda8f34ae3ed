"""Grading a whole class: from a learning management system's downloads to its imports."""
