"""Hypothesis profiles: ``ci``, unless HYPOTHESIS_PROFILE names another."""

from __future__ import annotations

import os
import signal

from hypothesis import HealthCheck, settings

# The same examples in every run, and no verdict that depends on how fast the machine is.
settings.register_profile(
    "ci",
    max_examples=75,
    derandomize=True,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
# New examples in every run; what fails is remembered and tried first the next time.
settings.register_profile(
    "deep",
    max_examples=1000,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# In the background of a shell, Ctrl-C is ignored, and so it would be by the processes of the tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# pytest-xdist gives it to its processes; tables would be as wide as the terminal it was started in.
os.environ.pop("COLUMNS", None)
