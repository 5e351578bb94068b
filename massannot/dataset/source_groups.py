"""Source groups: videos by where their pictures come from, as the manifest stated it.

Every score is also split by them: what holds for camera footage need not hold for generated film.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from massannot.dataset.reading import Dataset

COLUMNS = ("source_kind", "generator")


def groups_of_videos(dataset: Dataset) -> Mapping[str, tuple[str, ...]]:
    """By uri: the groups that the video is in, such as `source_kind=generated`; none where the
    manifest says nothing."""
    rows = dataset.table_or_empty("videos").to_pylist()
    return {row["uri"]: groups_of(row) for row in rows}


def groups_of(video: Mapping[str, object]) -> tuple[str, ...]:
    """The groups of a row of `videos`, or of whatever else states COLUMNS."""
    return tuple(f"{name}={video[name]}" for name in COLUMNS if video[name])


def places_by_group(dataset: Dataset, uris: Sequence[str]) -> dict[str, list[int]]:
    """By group, in the order of their names: the places in `uris` of its videos."""
    groups = groups_of_videos(dataset)
    places: dict[str, list[int]] = defaultdict(list)
    for place, uri in enumerate(uris):
        for group in groups.get(uri, ()):
            places[group].append(place)
    return dict(sorted(places.items()))
