"""What the computer has, what is missing, and what to do about it."""
