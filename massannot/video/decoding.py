"""Decoding: from a file to finished clips, the loop over frames. Runs in the decoder process.

Every frame is decoded once, forward, without seeking (seeks land on wrong frames in open-GOP, HEVC,
TS and trimmed files); spans are cut on the way, and their pictures written into anonymous shared
memory. Memory is that of the clips in the making, whatever the length of the file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Protocol

import av

from massannot.clip import anonymous_memory
from massannot.errors import (
    ClipError,
    NoFrames,
    SpanOutsideVideo,
    SpanWithoutShot,
    UnsupportedCodec,
    VideoChanged,
)
from massannot.video.clip_making import Making, Shown
from massannot.video.decoder_messages import DecodedClip, DecodeJob, Ending, Header, Opened
from massannot.video.header import header_of, open_container, open_file, video_stream
from massannot.video.sampling import Cut, EmptySpan, SpanCutter
from massannot.video.shots import SmallPictures
from massannot.video.shots_in_time import ShotsInTime
from massannot.video.shown_frames import ShownFrames
from massannot.video.to_rgb import Look, ToRGB, display_size, look_of, working_size
from massannot.video.video_id import video_id


class Outbox(Protocol):
    """The receiver of results: the parent of the decoder process."""

    def opened(self, opened: Opened) -> None: ...

    def reserve(self, nbytes: int) -> None:
        """Wait until `nbytes` of pictures may be held."""

    def unreserve(self, nbytes: int) -> None: ...

    def clip(self, clip: DecodedClip, descriptor: int) -> None:
        """Hand over a finished clip; the descriptor is closed by the caller."""

    def beat(self) -> None:
        """Report life; called at least once per packet or block."""


def decode(job: DecodeJob, outbox: Outbox) -> Ending:
    """Read `job.path` from beginning to end and hand over its clips. Raises BadVideo."""
    with open_file(job.path) as file:
        before = os.fstat(file.fileno())
        _refuse_changed(job, before)
        identity = video_id(file, progress=outbox.beat)
        with open_container(job.path) as container:
            stream = video_stream(job.path, container)
            header = header_of(job.path, container, stream, before)
            ending = _Decoding(job, outbox, header, identity).run(container, stream)
        after = os.fstat(file.fileno())
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise VideoChanged(
                f"{job.path}: found {after.st_size} bytes after reading, {before.st_size} before, "
                "expected a file that nobody writes to; read it again when it is complete"
            )
    return ending


def _refuse_changed(job: DecodeJob, status: os.stat_result) -> None:
    if job.expected_size is not None and status.st_size != job.expected_size:
        raise VideoChanged(
            f"{job.path}: found {status.st_size} bytes, expected {job.expected_size} as planned; "
            "plan again"
        )
    if job.expected_mtime_ns is not None and status.st_mtime_ns != job.expected_mtime_ns:
        raise VideoChanged(
            f"{job.path}: found modification time {status.st_mtime_ns} ns, expected "
            f"{job.expected_mtime_ns} as planned; plan again"
        )


class _Decoding:
    """One pass over one video. Frames are sampled as they are decoded, and cut into clips once
    their shots are known; with shots, the sampled pictures of about two seconds wait meanwhile."""

    def __init__(self, job: DecodeJob, outbox: Outbox, header: Header, identity: str) -> None:
        self.job = job
        self.outbox = outbox
        self.header = header
        self.identity = identity
        self.to_rgb = ToRGB(long_side=job.long_side)
        self.making: dict[int, Making] = {}
        self.size: tuple[int, int] | None = None
        self.last_pts = 0
        """Of the frames that were cut into clips."""
        self.small = SmallPictures()
        self.shots: ShotsInTime[Shown] | None = None

    def run(
        self, container: av.container.InputContainer, stream: av.video.stream.VideoStream
    ) -> Ending:
        shown = ShownFrames(container, stream, beat=self.outbox.beat)
        cutter: SpanCutter | None = None
        stopped_early = False
        try:
            for frame, shot in self._numbered(shown):
                cutter = cutter or self._cutter(frame.pts)
                step = cutter.step(frame.pts, other_size=frame.other_size, shot=shot)
                self.last_pts = frame.pts
                shared = self._shared(step.taking)
                self._finish(step.finished, damaged=frame.damaged)
                if step.taking:
                    self._take(step.taking, frame, shared)
                self.outbox.unreserve(frame.reserved)
                if cutter.exhausted:
                    stopped_early = True
                    break
            if cutter is None:
                raise NoFrames(f"{self.job.path}: {shown.why_nothing}, expected at least one frame")
            end_pts = shown.end_pts(self.header.frame_rate)
            self._finish(tuple(cutter.finish(end_pts)), damaged=shown.damaged)
        finally:
            for making in self.making.values():
                os.close(making.descriptor)
        return self._ending(cutter, shown, stopped_early=stopped_early)

    def _numbered(self, shown: ShownFrames) -> Iterator[tuple[Shown, int | None]]:
        """The frames in order, each with its shot (0 where shots are not looked for)."""
        sampler: SpanCutter | None = None
        for number, frame in enumerate(shown):
            look = self._look(frame)
            size = display_size(frame, look)
            if sampler is None:
                self._begin(frame, look, size)
                sampler = self._cutter(frame.pts)
            is_sampled = bool(sampler.step(frame.pts).taking)
            held = self._held(frame, number, size, shown, is_sampled=is_sampled)
            if self.shots is None:
                yield held, 0
            else:
                yield from self.shots.add(held, pts=held.pts, small=self.small(frame))
        if self.shots is not None:
            yield from self.shots.finish()

    def _held(
        self,
        frame: av.VideoFrame,
        number: int,
        size: tuple[int, int],
        shown: ShownFrames,
        *,
        is_sampled: bool,
    ) -> Shown:
        """What later steps need of a frame; its picture where it is sampled."""
        reserved = 0
        if is_sampled and self.shots is not None:
            width, height = working_size(*size, long_side=self.job.long_side)
            reserved = width * height * 3
            self.outbox.reserve(reserved)
        other_size, self.size = size != self.size, size
        return Shown(
            pts=frame.pts,
            number=number,
            keyframe=bool(frame.key_frame),
            suspect=shown.suspect,
            damaged=shown.damaged,
            other_size=other_size,
            size=size,
            picture=self.to_rgb(frame) if is_sampled else None,
            reserved=reserved,
        )

    def _look(self, frame: av.VideoFrame) -> Look:
        try:
            return look_of(frame)
        except UnsupportedCodec as error:
            raise UnsupportedCodec(f"{self.job.path}: {error}") from error

    def _begin(self, frame: av.VideoFrame, look: Look, size: tuple[int, int]) -> None:
        """Report the video's facts at its first shown frame."""
        self.size = size
        if self.job.shots is not None:
            self.shots = ShotsInTime(self.job.shots, time_base=self.header.time_base)
        aspect = self.header.sample_aspect
        self.outbox.opened(
            Opened(
                header=self.header,
                video_id=self.identity,
                width=size[0],
                height=size[1],
                rotation=look.rotation,
                sample_aspect=1 / aspect if look.quarter_turns % 2 else aspect,
                color_space=look.matrix,
                color_range="full" if look.full_range else "limited",
                first_pts=frame.pts,
            )
        )

    def _cutter(self, first_pts: int) -> SpanCutter:
        return SpanCutter(
            self.job.spans,
            rules=self.job.rules,
            time_base=self.header.time_base,
            first_pts=first_pts,
        )

    def _shared(self, taking: tuple[Cut, ...]) -> dict[int, Shown]:
        """The last frame of the clip before, for each cut that begins with it; taken back from the
        memory of that clip, which is about to be handed over."""
        befores = {
            cut.clip_index: self.making[cut.begins_with.clip_index]
            for cut in taking
            if cut.begins_with is not None and cut.clip_index not in self.making
        }
        return {index: making.last() for index, making in befores.items()}

    def _take(self, cuts: tuple[Cut, ...], frame: Shown, shared: Mapping[int, Shown]) -> None:
        """Write the picture into every clip that takes it; `shared`: what some begin with."""
        for cut in cuts:
            making = self.making.get(cut.clip_index)
            if making is None:
                working = working_size(*frame.size, long_side=self.job.long_side)
                nbytes = self._estimate(cut) * working[0] * working[1] * 3
                self.outbox.reserve(nbytes)
                making = Making(cut, anonymous_memory(), frame.size, working, nbytes)
                self.making[cut.clip_index] = making
                if cut.clip_index in shared:
                    making.add(shared[cut.clip_index], reserve=self.outbox.reserve)
            making.add(frame, reserve=self.outbox.reserve)

    def _estimate(self, cut: Cut) -> int:
        """Frames the clip will have, from its length and what the header claims."""
        rules, header = self.job.rules, self.header
        rate = rules.fps if rules.fps is not None else header.frame_rate
        seconds = None if cut.bound_pts is None else (cut.bound_pts - cut.first_pts)
        if rate is None or seconds is None:
            return rules.max_frames
        return max(1, min(rules.max_frames, int(seconds * header.time_base * rate) + 1))

    def _finish(self, cuts: tuple[Cut, ...], *, damaged: bool) -> None:
        """Hand over finished clips. Cuts of several spans that hold the same frames end together;
        they are one clip."""
        shares = self.job.rules.shared_frames
        twins: dict[tuple[int, int, tuple[int, ...]], list[Cut]] = {}
        for cut in cuts:
            assert cut.end_pts is not None
            pts = tuple(self.making[cut.clip_index].pts)
            twins.setdefault((cut.first_pts, cut.end_pts, pts), []).append(cut)
        for (first_pts, end_pts, pts), (cut, *others) in twins.items():
            for other in others:
                self._drop(other)
            making = self.making.pop(cut.clip_index)
            self.outbox.unreserve(making.reserved - making.used)
            shared = [False if shares else None] * len(pts)
            shared[-1] = any(each.shares_last for each in (cut, *others)) if shares else None
            clip = DecodedClip(
                clip_index=cut.clip_index,
                spans=(cut.span, *(other.span for other in others)),
                first_pts=first_pts,
                end_pts=end_pts,
                pts=pts,
                numbers=tuple(making.numbers),
                keyframes=tuple(making.keyframes),
                damaged_frames=tuple(making.damaged),
                source_width=making.source_size[0],
                source_height=making.source_size[1],
                width=making.working_size[0],
                height=making.working_size[1],
                damaged_so_far=damaged,
                shot=None if self.shots is None else cut.shot,
                active_xyxy=making.active_xyxy(),
                shared_frames=tuple(shared),
            )
            try:
                self.outbox.clip(clip, making.descriptor)
            finally:
                os.close(making.descriptor)

    def _drop(self, cut: Cut) -> None:
        making = self.making.pop(cut.clip_index)
        self.outbox.unreserve(making.reserved)
        os.close(making.descriptor)

    def _ending(self, cutter: SpanCutter, shown: ShownFrames, *, stopped_early: bool) -> Ending:
        last_s = float((self.last_pts - shown.first_pts) * self.header.time_base)
        last = f"{'so far ' * stopped_early}the last is shown at {last_s:g} s"
        failures = tuple((each.clip_index, self._why_empty(each, last)) for each in cutter.empty)
        end_pts = shown.end_pts(self.header.frame_rate)
        length_s = float((end_pts - shown.first_pts) * self.header.time_base)
        return Ending(
            n_frames=None if stopped_early else shown.n_frames,
            duration_s=None if stopped_early else length_s,
            variable_rate=None if stopped_early else shown.variable_rate,
            damaged=shown.damaged,
            failures=failures,
        )

    def _why_empty(self, empty: EmptySpan, last: str) -> ClipError:
        start, end = self.job.spans[empty.span]
        where = (
            f"between {float(start or 0):g} s and "
            f"{'the end' if end is None else f'{float(end):g} s'}"
        )
        if empty.without_shot:
            return SpanWithoutShot(
                f"{self.job.path}: found only blank frames and transitions {where}, expected part "
                "of a shot; --no-shots annotates them like any other"
            )
        return SpanOutsideVideo(
            f"{self.job.path}: found no frame {where} ({last}), expected at least one"
        )
