"""A dataset's pictures once more: tables hold none, so the videos are read again the same way.

The folder's own plan and sampling give the very same clips, found again by their id.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from massannot.clip import Clip
from massannot.errors import ClipError, UsageError
from massannot.io import plan, run_record
from massannot.io.layout import Layout
from massannot.io.video import Sampling, Span, read_clips, release


def clips_again(layout: Layout, wanted: Collection[str]) -> Iterator[Clip]:
    """The wanted clips with their frames, video by video; each is given back before the next.

    Videos that cannot be read any more are left out. Raises UsageError for a folder without a plan
    (a published dataset): its pictures are where its videos are.
    """
    record = run_record.read(layout)
    if record is None:
        raise UsageError(f"{layout.out} has no _run/: only the folder of a run can show pictures")
    sampling = _sampling(record.identity.sampling)
    missing = set(wanted)
    for video in plan.stored(layout).videos:
        if not missing:
            return
        try:
            for clip in read_clips(video.uri, spans=video.spans or (Span(),), sampling=sampling):
                if isinstance(clip, Clip):
                    if clip.clip_id in missing:
                        missing.discard(clip.clip_id)
                        yield clip
                    release(clip)
        except ClipError:
            continue


def _sampling(text: str) -> Sampling:
    """The Sampling whose repr a run's record keeps."""
    call = ast.parse(text, mode="eval").body
    if not isinstance(call, ast.Call):
        raise UsageError(f"run.json: {text!r} is not a sampling")
    return Sampling(**{k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg})
