"""A whole class: from what a learning management system gives to what it takes."""
