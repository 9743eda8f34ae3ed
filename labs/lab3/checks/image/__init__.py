"""Exercise image: nginx and PHP-FPM in one image."""
