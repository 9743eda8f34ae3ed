"""The checks of lab3: a package per exercise, and what they share."""
