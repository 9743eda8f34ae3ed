"""What all tests share."""

from hypothesis import settings

# A busy machine is no failure: tests assert what is so, never how long it took.
settings.register_profile("drydock", deadline=None)
settings.load_profile("drydock")
