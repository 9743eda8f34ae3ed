"""Exercise hello: an image whose page says the student's own word."""
