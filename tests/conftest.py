"""What all tests share."""

import signal

from hypothesis import settings

# A shell's background jobs start with Ctrl-C ignored, and what they start inherits that; the
# tests press Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no failure: tests assert what is so, never how long it took.
settings.register_profile("drydock", deadline=None)
settings.load_profile("drydock")
