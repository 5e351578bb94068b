"""A file's Header: its container and stream, and their claims before anything is decoded.

Each way in which a path is not a video has its own exception. Runs in the decoder process.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from fractions import Fraction
from typing import BinaryIO

import av
import av.logging
import av.stream

from massannot.errors import (
    BadVideo,
    EmptyFile,
    NotAFile,
    NotAVideo,
    NoVideoStream,
    UnsupportedCodec,
    UsageError,
    VideoNotFound,
)
from massannot.storage.store import Entry, Store, StoreRefused, is_remote, store_of
from massannot.video.decoder_messages import Header

HEADER_BYTES = 3 << 20
"""As much is read of a file in a bucket or a tar to see its header."""
_SPARING = {"probesize": str(1 << 20)}
LONGER_THAN_FILMS, LONGER_THAN_PICTURES = 10, 2
"""A stream so many times as long as the preferred one is the film, and the other its cover."""
PICTURE_CODECS = frozenset({"bmp", "gif", "jpeg2000", "mjpeg", "png", "tiff", "webp"})
"""Codecs of covers. Films have them too, but then the file names a length."""


class HeaderTooLong(BadVideo):
    """A file whose header could not be seen without fetching too much of it."""

    reason = "header_too_long"


def probe(path: str) -> Header:
    """The header of a file on disk, in a bucket or in a tar. Raises BadVideo."""
    if is_remote(path):
        return _probe_elsewhere(path)
    with open_file(path) as file, open_container(path) as container:
        stream = video_stream(path, container)
        return header_of(path, container, stream, os.fstat(file.fileno()))


def open_file(path: str) -> BinaryIO:
    """The file at `path`. Raises the BadVideo that says why there is none."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a device, pipe or socket"
            raise NotAFile(f"{path}: found {kind}, expected a video file")
        if status.st_size == 0:
            raise EmptyFile(f"{path}: found 0 bytes, expected a video file")
        return open(path, "rb")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise VideoNotFound(f"{path}: found nothing, expected a video file") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadVideo(f"{path}: cannot be opened: {reason}; expected a readable file") from error


def _probe_elsewhere(uri: str) -> Header:
    """The header of a file in a bucket or a tar: only the blocks that hold it are fetched."""
    store = store_of(uri)
    try:
        entry = store.head(uri)
    except FileNotFoundError as error:
        raise VideoNotFound(f"{uri}: found nothing, expected a video file") from error
    except (StoreRefused, UsageError) as error:  # the latter: its tar is none
        raise BadVideo(str(error)) from error
    if entry.size_bytes == 0:
        raise EmptyFile(f"{uri}: found 0 bytes, expected a video file")
    pieces = _Pieces(store, entry)
    try:
        with open_container(uri, pieces) as container:
            stream = video_stream(uri, container)
            return header_of(uri, container, stream, entry)
    except NotAVideo:
        if pieces.refused:
            raise HeaderTooLong(
                f"{uri}: found no whole header in {HEADER_BYTES} bytes, expected one"
            ) from None
        raise


class _Pieces:
    """A file to read and seek in, by blocks, until too much has been fetched."""

    BLOCK = 64 << 10

    def __init__(self, store: Store, entry: Entry):
        self._store = store
        self._entry = entry
        self._at = 0
        self._blocks: dict[int, bytes] = {}
        self.refused = False

    def read(self, size: int) -> bytes:
        number, skipped = divmod(self._at, self.BLOCK)
        content = self._block(number)[skipped : skipped + size]
        self._at += len(content)
        return content

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._entry.size_bytes}
        self._at = start[whence] + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            if (len(self._blocks) + 1) * self.BLOCK > HEADER_BYTES:
                self.refused = True
                return b""  # as if the file ended here
            start = number * self.BLOCK
            length = max(0, min(self.BLOCK, self._entry.size_bytes - start))
            self._blocks[number] = self._store.get_range(self._entry.uri, start, length)
        return self._blocks[number]


def open_container(path: str, file: _Pieces | None = None) -> av.container.InputContainer:
    """The demuxer. Raises NotAVideo. Playlists cannot reach the network or other protocols.
    With `file`, only as much of it is read as the header needs; else `path` is opened."""
    av.logging.set_level(av.logging.ERROR)
    with av.logging.Capture(local=False) as log:
        try:
            return av.open(
                file or f"file:{path}",  # so that no name is taken for an address
                "r",
                options={"protocol_whitelist": "file", **(_SPARING if file else {})},
                metadata_errors="replace",
            )
        except (av.error.FFmpegError, ValueError) as error:
            what = getattr(error, "strerror", None) or str(error)
            why = f" ({log[-1][2].strip()})" if log else ""
            raise NotAVideo(
                f"{path}: found {what}{why}, expected a video container (mp4, mov, mkv, webm, ts, "
                "avi ...)"
            ) from error
        finally:
            av.logging.set_level(None)


def video_stream(path: str, container: av.container.InputContainer) -> av.video.stream.VideoStream:
    """The stream to read: the default one, else the first, but a film before a still picture.

    Raises NoVideoStream, UnsupportedCodec.
    """
    pictures = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    streams = [s for s in container.streams.video if not s.disposition & pictures]
    if not streams:
        kinds = sorted({s.type for s in container.streams}) or ["nothing"]
        raise NoVideoStream(f"{path}: found {', '.join(kinds)}, expected a video stream")
    default = [s for s in streams if s.disposition & av.stream.Disposition.default]
    stream = _film((default or streams)[0], streams, container)
    if stream.codec_context is None:
        raise UnsupportedCodec(
            f"{path}: found a video stream for whose codec this FFmpeg has no decoder, expected "
            "H.264, HEVC, AV1, VP9, MPEG-4, MJPEG ..."
        )
    return stream


def _film(
    preferred: av.video.stream.VideoStream,
    streams: Sequence[av.video.stream.VideoStream],
    container: av.container.InputContainer,
) -> av.video.stream.VideoStream:
    """The longest stream where the preferred one is a still beside it: many writers put a cover
    first and do not mark it, and most make the first stream the default."""
    if all(stream.frames for stream in streams):  # a cover may be "shown" as long as the film
        lengths = [float(stream.frames) for stream in streams]
    else:
        lengths = [_length_s(stream, container) for stream in streams]
    longest, own = max(lengths), lengths[streams.index(preferred)]
    times = LONGER_THAN_PICTURES if _has_picture_codec(preferred) else LONGER_THAN_FILMS
    film = streams[lengths.index(longest)]
    is_longer = longest > own and longest >= times * own
    return film if is_longer and film.codec_context is not None else preferred


def _length_s(stream: av.video.stream.VideoStream, container: av.container.InputContainer) -> float:
    """Length in seconds: its own, else 0 for a picture and the file's for a film."""
    if stream.duration is not None and stream.time_base:
        return float(stream.duration * stream.time_base)
    tag = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if tag:  # Matroska
        return int(tag[1]) * 3600 + int(tag[2]) * 60 + float(tag[3])
    if stream.average_rate is None or _has_picture_codec(stream):
        return 0.0
    return (container.duration or 0) / av.time_base


def _has_picture_codec(stream: av.video.stream.VideoStream) -> bool:
    return stream.codec_context is not None and stream.codec_context.name in PICTURE_CODECS


def header_of(
    path: str,
    container: av.container.InputContainer,
    stream: av.video.stream.VideoStream,
    state: os.stat_result | Entry,
) -> Header:
    if not stream.time_base:
        raise NotAVideo(f"{path}: found a video stream without a time base, expected one")
    duration_s = None
    if stream.duration is not None:
        duration_s = float(stream.duration * stream.time_base)
    elif container.duration is not None:
        began, ended = max(container.start_time or 0, 0), container.duration
        duration_s = (
            ended - began if ended > began else ended
        ) / av.time_base  # Matroska's: an end
    context = stream.codec_context
    return Header(
        size_bytes=state.size_bytes if isinstance(state, Entry) else state.st_size,
        mtime_ns=(state.mtime_ns or 0) if isinstance(state, Entry) else state.st_mtime_ns,
        container=container.format.name,
        codec=context.codec.canonical_name,
        pixel_format=context.pix_fmt,
        width=context.width,
        height=context.height,
        sample_aspect=stream.sample_aspect_ratio or context.sample_aspect_ratio or Fraction(1),
        time_base=stream.time_base,
        frame_rate=stream.average_rate or stream.guessed_rate,
        duration_s=duration_s if duration_s is None or duration_s >= 0 else None,
        n_frames=stream.frames or None,
    )
