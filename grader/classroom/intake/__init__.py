"""Unpacks submissions safely and matches them with people; start at `gather.gather`."""
