"""Archives that strangers packed, unpacked within limits."""
