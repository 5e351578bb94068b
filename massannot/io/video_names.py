"""What counts as a video where nobody named it outright: inside a folder, a bucket or a tar."""

from __future__ import annotations

VIDEO_ENDINGS = frozenset(
    {
        ".3gp",
        ".avi",
        ".flv",
        ".gif",
        ".m2ts",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".ogv",
        ".ts",
        ".webm",
        ".wmv",
        ".y4m",
    }
)


def is_video_name(name: str) -> bool:
    """By its ending; hidden files are none."""
    base = name.rpartition("/")[2]
    return not base.startswith(".") and f".{base.rpartition('.')[2]}".lower() in VIDEO_ENDINGS
