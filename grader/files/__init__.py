"""Reading and writing files: whole ones, private ones, and those in folders of strangers."""
