"""What a planned video will ask for: clips, annotated frames, and their pixels, which is its cost.

From the header's claims and the rules of sampling; a header may be wrong, so that nothing but the
order of work and what a person is told depends on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

import numpy as np

from massannot.io.plan import PlannedVideo
from massannot.io.planned_videos import PlannedVideos
from massannot.io.probing import Probed
from massannot.io.video import Sampling, Span

USUAL_RATE = 30.0
"""Frames a second where a header does not tell."""
LONGEST_S = 30 * 86400.0
"""A header that promises more than a month is wrong, and would outweigh all other videos."""


@dataclass(frozen=True, slots=True)
class Expected:
    clips: int
    frames: int
    pixels: float
    """Annotated frames times working pixels: what models see."""


def expected(video: PlannedVideo, probed: Probed, sampling: Sampling) -> Expected | None:
    """None where the header does not say how long the video is, or lies, or there is none."""
    if probed.duration_s is None or not probed.width or not probed.height:
        return None
    if not probed.duration_s <= LONGEST_S:
        return None
    rate = probed.frame_rate or USUAL_RATE
    rate = rate if sampling.fps is None else min(rate, sampling.fps)
    clips = frames = 0
    for span in video.spans or (Span(),):
        start_s = span.start_s or 0.0
        end_s = probed.duration_s if span.end_s is None else min(span.end_s, probed.duration_s)
        n_frames = max(1, round(max(0.0, end_s - start_s) * rate))
        cuts = 1 if span.end_s is not None else max(1, ceil((end_s - start_s) / sampling.clip_s))
        frames += n_frames
        clips += max(cuts, ceil(n_frames / sampling.max_frames))
    shrunk = min(1.0, sampling.long_side / max(probed.width, probed.height))
    return Expected(clips, frames, frames * probed.width * probed.height * shrunk**2)


def with_expected(videos: PlannedVideos, work: Iterable[Expected | None]) -> PlannedVideos:
    """The videos with their expected clips, and with their expected pixels as cost. Of whom nothing
    is known, the cost is that of as many bytes elsewhere."""
    pixels, n_clips = np.zeros(len(videos)), np.zeros(len(videos), np.int32)
    for n, each in enumerate(work):
        if each is not None:
            pixels[n], n_clips[n] = each.pixels, each.clips
    unknown = n_clips == 0
    if unknown.any():
        sizes = videos.sizes
        known = ~unknown & (sizes > 0)
        a_byte = float(np.median(pixels[known] / sizes[known])) if known.any() else 1.0
        pixels[unknown] = sizes[unknown] * a_byte
    return videos.expecting(pixels, n_clips)
