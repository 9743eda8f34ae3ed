"""Exercise webserver: nginx and PHP on a machine and in an image."""
