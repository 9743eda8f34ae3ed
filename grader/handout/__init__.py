"""What a student gets."""
