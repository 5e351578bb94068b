"""What a worker reads: the clips of a planned video, as the plan recorded it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol

from massannot.clip import Clip
from massannot.io.byte_budget import ByteBudget
from massannot.io.plan import PlannedVideo
from massannot.io.video import Sampling, Span, VideoEnd, read_clips


class Reader(Protocol):
    """Gives the clips of a video; picklable, because worker processes get a copy."""

    def __call__(
        self, video: PlannedVideo, *, memory: ByteBudget
    ) -> Generator[Clip | VideoEnd, None, None]: ...


@dataclass(frozen=True)
class ReadPlanned:
    """Files on disk, decoded at one sampling."""

    sampling: Sampling

    def __call__(
        self, video: PlannedVideo, *, memory: ByteBudget
    ) -> Generator[Clip | VideoEnd, None, None]:
        yield from read_clips(
            video.uri,
            spans=video.spans or (Span(),),
            sampling=self.sampling,
            source_id=video.source_id,
            license=video.license,
            expected_size=video.size_bytes,
            expected_mtime_ns=video.mtime_ns,
            expected_etag=video.etag,
            memory=memory,
        )
