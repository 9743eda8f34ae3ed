"""What was handed in, unpacked safely and matched with people: `gather.gather` is the way in."""
