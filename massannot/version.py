"""The version, alone so that anybody may read it."""

__version__ = "0.2.0"
