"""Text: cut to a bounded length, and the words for numbers of things."""
