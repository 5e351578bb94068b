"""A Video as its row of the table `videos`."""

from __future__ import annotations

import dataclasses

import pyarrow as pa

from massannot import tables
from massannot.clip import Video


def video_row(video: Video) -> pa.Table:
    """The table `videos` with one row."""
    values = {
        field.name: getattr(video, field.name)
        for field in dataclasses.fields(video)
        if field.name not in ("sample_aspect", "time_base")
    }
    fractions = {
        "sample_aspect_num": video.sample_aspect.numerator,
        "sample_aspect_den": video.sample_aspect.denominator,
        "time_base_num": video.time_base.numerator,
        "time_base_den": video.time_base.denominator,
    }
    return tables.spec("videos").from_rows([{**values, **fractions}])
