"""Opening a video file: its container, its stream, what the header claims; and why it cannot be.

Each way in which a path is not a video has its own exception. Runs in the decoder process.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
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
    VideoNotFound,
)


@dataclass(frozen=True)
class Header:
    """What the container claims, before any frame is decoded. Sizes are those stored, unrotated."""

    size_bytes: int
    mtime_ns: int
    container: str
    codec: str
    pixel_format: str | None
    width: int
    height: int
    sample_aspect: Fraction
    time_base: Fraction
    frame_rate: Fraction | None
    duration_s: float | None
    n_frames: int | None


def probe(path: str) -> Header:
    """The header of a file. Raises BadVideo."""
    with open_file(path) as file, open_container(path) as container:
        stream = video_stream(path, container)
        return header_of(path, container, stream, os.fstat(file.fileno()))


def open_file(path: str) -> BinaryIO:
    """The file at `path`. Raises the BadVideo that says why there is none."""
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):  # opening a pipe would wait for ever
            kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a device, pipe or socket"
            raise NotAFile(f"{path}: found {kind}, expected a video file")
        if found.st_size == 0:
            raise EmptyFile(f"{path}: found 0 bytes, expected a video file")
        return open(path, "rb")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise VideoNotFound(f"{path}: found nothing, expected a video file") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadVideo(f"{path}: cannot be opened: {reason}; expected a readable file") from error


def open_container(path: str) -> av.container.InputContainer:
    """The demuxer. Raises NotAVideo. Playlists cannot reach the network or other protocols."""
    av.logging.set_level(av.logging.ERROR)
    with av.logging.Capture(local=False) as said:
        try:
            return av.open(
                f"file:{path}",  # so that no name is taken for an address
                "r",
                options={"protocol_whitelist": "file"},
                metadata_errors="replace",
            )
        except (av.error.FFmpegError, ValueError) as error:
            what = getattr(error, "strerror", None) or str(error)
            why = f" ({said[-1][2].strip()})" if said else ""
            raise NotAVideo(
                f"{path}: found {what}{why}, expected a video container (mp4, mov, mkv, webm, ts, "
                "avi ...)"
            ) from error
        finally:
            av.logging.set_level(None)


def video_stream(path: str, container: av.container.InputContainer) -> av.video.stream.VideoStream:
    """The stream to read: the default one, else the first. Raises NoVideoStream and others."""
    pictures = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    streams = [s for s in container.streams.video if not s.disposition & pictures]
    if not streams:
        kinds = sorted({s.type for s in container.streams}) or ["nothing"]
        raise NoVideoStream(f"{path}: found {', '.join(kinds)}, expected a video stream")
    default = [s for s in streams if s.disposition & av.stream.Disposition.default]
    stream = (default or streams)[0]
    if stream.codec_context is None:
        raise UnsupportedCodec(
            f"{path}: found a video stream for whose codec this FFmpeg has no decoder, expected "
            "H.264, HEVC, AV1, VP9, MPEG-4, MJPEG ..."
        )
    return stream


def header_of(
    path: str,
    container: av.container.InputContainer,
    stream: av.video.stream.VideoStream,
    found: os.stat_result,
) -> Header:
    if not stream.time_base:
        raise NotAVideo(f"{path}: found a video stream without a time base, expected one")
    duration_s = None
    if stream.duration is not None:
        duration_s = float(stream.duration * stream.time_base)
    elif container.duration is not None:
        duration_s = container.duration / av.time_base
    context = stream.codec_context
    return Header(
        size_bytes=found.st_size,
        mtime_ns=found.st_mtime_ns,
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
