"""What is given out: the student's zip file, and the box."""
