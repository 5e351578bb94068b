"""Reading videos: spans in, clips out, in one forward pass; pictures lie in shared memory.

Another process decodes (see decoder_process.py): its crash or hang is a DecoderCrashed here. While
the caller works on a clip, the process decodes the next one, as far as the ByteBudget allows.
`release` gives a clip's pictures back; garbage collection of the clip does too. Where a view of
`frames.pixels_THWC` still shows them, they go with that view.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyarrow as pa

from massannot import tables
from massannot.clip import Clip, Frames, SharedPixels, Video
from massannot.errors import ClipError, UsageError, VideoNotFound
from massannot.inputs.span import Span, VideoSource, united
from massannot.storage.fetch import fetched
from massannot.storage.path import resolved
from massannot.storage.store import is_remote
from massannot.video.byte_budget import ByteBudget
from massannot.video.decoder_messages import (
    DecodedClip,
    DecodeJob,
    Ending,
    Header,
    JobFailed,
    Need,
    Opened,
    ProbeJob,
)
from massannot.video.decoder_process import DecoderProcess
from massannot.video.sampling import Sampling, exact
from massannot.video.video_id import clip_id

SILENCE_S = 60.0
"""A decoder process that sends nothing for so long hangs: it beats twice a second."""
FETCH_SILENCE_S = 900.0
"""The same for one that waits for a store."""
_JOBS_PER_PROCESS = 1000
"""A process is replaced after so many videos, whatever its codecs may have leaked."""


@dataclass(frozen=True, eq=False)
class VideoEnd:
    """The end of a video, with the facts that only reading it to the end gives."""

    video: Video
    """n_frames, duration_s and variable_rate are None where no span needed the rest."""
    failures: tuple[tuple[int, ClipError], ...]
    """(clip_index, error) of spans that gave no frames."""


def read_clips(
    video: VideoSource | str,
    *,
    sampling: Sampling = Sampling(),
    memory: ByteBudget | None = None,
    silence_s: float = SILENCE_S,
    folder: str | None = None,
) -> Iterator[Clip | VideoEnd]:
    """The clips of a video's spans, each as soon as it is complete; a VideoEnd last. A file in a
    bucket or a tar is fetched first, and its copy is deleted at the end.

    `video` may be an address alone: the whole file, in whatever state. A clip's `frames` are uint8
    RGB (T, H, W, 3), its table `frames` is written; give it back with `release`. `clip.video` holds
    the facts known by then. `memory` is shared by the readers of one worker; None: no limit, but
    never more than one clip ahead of the caller. `folder`: where relative names start; None: in the
    working folder. Tables keep the name as it was given.

    Raises BadVideo (its subclass says why) at the first `next` where nothing could be read, later
    where the process died or the file changed; UsageError for an address of an unknown kind,
    StoreSilent where a bucket did not answer for long.
    """
    source = VideoSource(video) if isinstance(video, str) else video
    budget = memory if memory is not None else ByteBudget()
    with local_copy(source, folder) as local:
        yield from _read(source, _job(local, sampling), sampling, budget, silence_s)


@contextlib.contextmanager
def local_copy(source: VideoSource, folder: str | None) -> Iterator[VideoSource]:
    """The same video as a local file. A copy has the planned state, but no time of change."""
    address = source.uri if folder is None else resolved(source.uri, folder=folder)
    if is_remote(address):
        with fetched(address, size_bytes=source.size_bytes, etag=source.etag) as path:
            yield replace(source, uri=path, mtime_ns=None)
    else:
        yield replace(source, uri=_local_path(address))


def _job(local: VideoSource, sampling: Sampling) -> DecodeJob:
    return DecodeJob(
        path=local.uri,
        spans=tuple((exact(span.start_s), exact(span.end_s)) for span in _spans(local)),
        rules=sampling.cut_rules,
        long_side=sampling.long_side,
        shots=sampling.shots,
        expected_size=local.size_bytes,
        expected_mtime_ns=local.mtime_ns,
    )


def _spans(source: VideoSource) -> tuple[Span, ...]:
    return source.spans or (Span(),)


def _read(
    source: VideoSource,
    job: DecodeJob,
    sampling: Sampling,
    budget: ByteBudget,
    silence_s: float,
) -> Iterator[Clip | VideoEnd]:
    reader, spans = _Reader(budget), _spans(source)
    process = _POOL.take()
    finished = False
    try:
        process.start(job)
        opened: Opened | None = None
        while True:
            message, pixels = process.receive(silence_s=silence_s)
            if isinstance(message, Need):
                reader.budget.acquire(message.nbytes, reader=reader)
                process.grant(message.nbytes)
            elif isinstance(message, Opened):
                opened = message
            elif isinstance(message, DecodedClip):
                assert opened is not None
                assert pixels is not None
                video = _video(source, opened, damaged=message.damaged_so_far)
                span = united([spans[index] for index in message.spans])
                header_s = opened.header.duration_s
                clip = _clip(message, pixels, video, span, sampling, header_s)
                reader.hand_over(clip.frames, pixels)
                if reader.budget.try_acquire(pixels.nbytes, reader=reader):
                    process.grant(pixels.nbytes)  # so that it goes on while the caller works
                yield clip
                del clip, pixels
            elif isinstance(message, Ending):
                assert opened is not None
                finished = True
                video = _video(source, opened, ending=message)
                yield VideoEnd(
                    video,
                    tuple((n, _as_given(e, job.path, source.uri)) for n, e in message.failures),
                )
                return
            else:
                assert isinstance(message, JobFailed)
                finished = True
                raise message.error
    except ClipError as error:
        raise _as_given(error, job.path, source.uri) from error
    finally:
        reader.budget.give_back(reader=reader)
        _POOL.give_back(process, reusable=finished)


def probe(uri: str, *, silence_s: float = SILENCE_S) -> Header:
    """The claims of a file's header, without decoding. Raises BadVideo; see read_clips. At most
    header.HEADER_BYTES of a file in a bucket or a tar are fetched."""
    if is_remote(uri):
        silence_s = max(silence_s, FETCH_SILENCE_S)
    process = _POOL.take()
    finished = False
    try:
        process.start(ProbeJob(uri if is_remote(uri) else _local_path(uri)))
        answer, _ = process.receive(silence_s=silence_s)
        finished = True
    finally:
        _POOL.give_back(process, reusable=finished)
    if isinstance(answer, Header):
        return answer
    assert isinstance(answer, JobFailed)
    raise answer.error


def release(clip: Clip) -> None:
    """Give a clip's pictures back to its budget. Its frames keep their shape and lose their
    content; views that were taken before keep theirs, and the memory. Calling it again does
    nothing."""
    clip.frames.forget()
    blank = np.broadcast_to(np.uint8(0), clip.frames.pixels_THWC.shape)
    object.__setattr__(clip.frames, "pixels_THWC", blank)
    finalizer = _HELD.pop(clip.frames, None)
    if finalizer is not None:
        finalizer()


_HELD: weakref.WeakKeyDictionary[Frames, weakref.finalize[..., Frames]] = (
    weakref.WeakKeyDictionary()
)


class _Reader:
    """The account of one pass in the budget."""

    def __init__(self, budget: ByteBudget) -> None:
        self.budget = budget

    def hand_over(self, frames: Frames, pixels: SharedPixels) -> None:
        """The bytes belong to the caller until it releases or forgets the clip."""
        self.budget.deliver(pixels.nbytes, reader=self)
        _HELD[frames] = weakref.finalize(frames, _let_go, pixels, self.budget)


def _let_go(pixels: SharedPixels, budget: ByteBudget) -> None:
    memory = pixels.close()
    budget.release(pixels.nbytes, viewed=memory is not None)
    if memory is not None:
        weakref.finalize(memory, budget.view_ended, pixels.nbytes).atexit = False


class _Pool:
    """Idle decoder processes: starting one costs a third of a second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[DecoderProcess] = []
        self._pid = os.getpid()

    def take(self) -> DecoderProcess:
        with self._lock:
            if self._pid != os.getpid():  # a fork has the parent's sockets: not ours to use
                self._idle, self._pid = [], os.getpid()
            if self._idle:
                return self._idle.pop()
        return DecoderProcess()

    def give_back(self, process: DecoderProcess, *, reusable: bool) -> None:
        if reusable and process.n_jobs < _JOBS_PER_PROCESS:
            with self._lock:
                self._idle.append(process)
        else:
            process.kill()

    def close(self) -> None:
        with self._lock:
            for process in self._idle:
                process.kill()
            self._idle.clear()


_POOL = _Pool()
atexit.register(_POOL.close)


def _local_path(uri: str) -> str:
    """The path of a path or file:// address, whole: the process may have started elsewhere."""
    scheme, separator, rest = uri.partition("://")
    if not separator or not scheme.isalnum():
        return os.path.abspath(uri)
    if scheme.lower() != "file":
        raise UsageError(f"{uri}: found an address of {scheme}, expected a local file; fetch it")
    if not rest.startswith("/"):
        raise VideoNotFound(f"{uri}: found a file address with a host, expected file:///path")
    return rest


def _as_given(error: ClipError, path: str, uri: str) -> ClipError:
    """The error with the file under the name that the caller gave."""
    return type(error)(str(error).replace(path, uri))


def _video(
    source: VideoSource,
    opened: Opened,
    *,
    damaged: bool = False,
    ending: Ending | None = None,
) -> Video:
    header = opened.header
    return Video(
        uri=source.uri,
        video_id=opened.video_id,
        source_id=source.source_id,
        size_bytes=header.size_bytes,
        container=header.container,
        codec=header.codec,
        pixel_format=header.pixel_format,
        width=opened.width,
        height=opened.height,
        rotation=opened.rotation,
        sample_aspect=opened.sample_aspect,
        color_space=opened.color_space,
        color_range=opened.color_range,
        time_base=header.time_base,
        first_pts=opened.first_pts,
        duration_s=None if ending is None else ending.duration_s,
        n_frames=None if ending is None else ending.n_frames,
        variable_rate=None if ending is None else ending.variable_rate,
        damaged=damaged if ending is None else ending.damaged,
        license=source.license,
        source_kind=source.source_kind,
        generator=source.generator,
    )


def _clip(
    decoded: DecodedClip,
    pixels: SharedPixels,
    video: Video,
    span: Span,
    sampling: Sampling,
    header_s: float | None,
) -> Clip:
    pts = np.array(decoded.pts, np.int64)
    t_s = np.array([float((p - video.first_pts) * video.time_base) for p in decoded.pts])
    source_id = span.source_id if span.source_id is not None else video.source_id
    identity = clip_id(
        video.video_id,
        first_pts=decoded.first_pts,
        end_pts=decoded.end_pts,
        time_base=video.time_base,
        sampling=sampling.name,
    )
    return Clip(
        clip_id=identity,
        clip_index=decoded.clip_index,
        video=video,
        first_pts=decoded.first_pts,
        end_pts=decoded.end_pts,
        sampling=sampling.name,
        shot=decoded.shot,
        phrases=span.phrases,
        frames=Frames(
            pixels_THWC=pixels.array,
            video_id=video.video_id,
            source_id=source_id if source_id is not None else Path(video.uri).stem,
            pts=pts,
            t_s=t_s,
            time_base=video.time_base,
            source_width=decoded.source_width,
            source_height=decoded.source_height,
            sample_aspect=video.sample_aspect,
            active_xyxy=decoded.active_xyxy,
            uri=video.uri,
            numbers=np.array(decoded.numbers, np.int64),
            video_s=header_s,
        ),
        tables=MappingProxyType(
            {
                "frames": _frames_table(identity, decoded, t_s),
                **_questions_table(identity, span),
            }
        ),
    )


def _questions_table(identity: str, span: Span) -> dict[str, pa.Table]:
    """The table `questions` of a clip, where its span has questions that can be asked."""
    rows = [q.row(clip_ids=(identity,)) for q in span.questions if q.problem is None]
    return {"questions": tables.spec("questions").from_rows(rows)} if rows else {}


def _frames_table(identity: str, decoded: DecodedClip, t_s: np.ndarray) -> pa.Table:
    n = len(decoded.pts)
    return tables.spec("frames").from_columns(
        {
            "clip_id": [identity] * n,
            "frame": range(n),
            "pts": decoded.pts,
            "t_s": t_s,
            "keyframe": decoded.keyframes,
            "damaged": decoded.damaged_frames,
            "shared": decoded.shared_frames,
        }
    )
