"""Pages about a class."""
