"""massannot: where every named thing in a video is, how it moves in 3D, and how sure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from massannot.version import __version__

if TYPE_CHECKING:
    from massannot.dataset.reading import open_dataset as open_dataset
    from massannot.jobs.annotate import annotate as annotate

__all__ = ["__version__", "annotate", "open_dataset"]


def __getattr__(name: str) -> Any:
    """Imported on first use: `import massannot` costs nothing."""
    if name == "annotate":
        from massannot.jobs.annotate import annotate

        return annotate
    if name == "open_dataset":
        from massannot.dataset.reading import open_dataset

        return open_dataset
    raise AttributeError(f"module 'massannot' has no attribute {name!r}")
