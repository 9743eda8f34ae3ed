"""What a lab says."""
