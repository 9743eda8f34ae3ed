"""The checks of lab4: a package per exercise."""
