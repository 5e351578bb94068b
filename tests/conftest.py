"""Property tests draw the same examples everywhere, and none is judged by its time."""

from hypothesis import settings

settings.register_profile("massannot", deadline=None, derandomize=True)
settings.load_profile("massannot")
