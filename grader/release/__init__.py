"""The releases: the student's zip file, and the box."""
