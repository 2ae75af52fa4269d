"""What holds for all tests."""

from hypothesis import settings

# How long an example takes says something about the machine, not about the program.
settings.register_profile("cloudlet", deadline=None)
settings.load_profile("cloudlet")
