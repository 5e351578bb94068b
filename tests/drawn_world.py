"""A drawn world of discs and squares, and models that answer from it: the ruler of these tests.

Everything is exact: a thing's mask is what is drawn and not covered by a later thing. The models
can be told to err by a known kind and share, never otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from massannot.clip import Clip, Frames, Phrase, Video
from massannot.models.protocols import Detections, FrameMasks, ModelCard
from massannot.stages.detect_phrases import DetectPhrases
from massannot.stages.propagate_masks import PropagateMasks

F64 = NDArray[np.float64]
Bool = NDArray[np.bool_]

RED, BLUE, GREEN, ORANGE = (210, 40, 40), (40, 60, 200), (40, 160, 60), (230, 150, 30)
GREY, PURPLE, WHITE, CYAN = (120, 120, 120), (140, 40, 160), (240, 240, 240), (40, 190, 200)


@dataclass(frozen=True, eq=False)
class Thing:
    """A disc, or a square, of `size` pixels across; `path` (T, 2) is its centre, NaN: not there."""

    phrase: str
    rgb: tuple[int, int, int]
    size: float
    path: F64
    square: bool = False


@dataclass(eq=False)
class World:
    """Things before a textured wall; later ones are in front."""

    things: Sequence[Thing]
    height: int = 120
    width: int = 200
    seed: int = 0
    scale: int = 1
    """Source pixels for a working pixel."""
    frames: Frames = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        T = len(self.things[0].path)
        blocks = rng.integers(-35, 36, (-(-self.height // 4), -(-self.width // 4)))
        wall = 150 + np.kron(blocks, np.ones((4, 4), np.int16))
        wall = np.repeat(wall[: self.height, : self.width, None], 3, axis=2)
        noise = rng.integers(-4, 5, (8, *wall.shape), dtype=np.int16)
        pixels = np.empty((T, self.height, self.width, 3), np.uint8)
        skins = [rng.integers(-18, 19, (64, 64, 1)) for _ in self.things]
        self._masks: dict[tuple[int, int], Bool] = {}
        for t in range(T):
            picture = wall + noise[t % 8]
            for thing, skin in zip(self.things, skins):
                rows, columns = np.nonzero(self._drawn(thing, t))
                if rows.size:
                    cx, cy = np.floor(thing.path[t]).astype(int)
                    shade = skin[(rows - cy) % 64, (columns - cx) % 64]
                    picture[rows, columns] = np.array(thing.rgb) + shade
            pixels[t] = picture.clip(0, 255)
        self.frames = Frames(
            pixels_THWC=pixels,
            video_id=f"{self.seed:032x}",
            source_id="drawn",
            pts=np.arange(T, dtype=np.int64),
            t_s=np.arange(T) / 10,
            time_base=Fraction(1, 10),
            source_width=self.width * self.scale,
            source_height=self.height * self.scale,
        )

    def _drawn(self, thing: Thing, t: int) -> Bool:
        mask = np.zeros((self.height, self.width), np.bool_)
        if not np.isfinite(thing.path[t]).all():
            return mask
        x, y = thing.path[t]
        around = thing.size / 2 + 1
        x0, x1 = max(0, int(x - around)), max(0, int(x + around) + 1)
        y0, y1 = max(0, int(y - around)), max(0, int(y + around) + 1)
        window = mask[y0:y1, x0:x1]
        dx = np.abs(np.arange(window.shape[1]) + x0 + 0.5 - x)[None]
        dy = np.abs(np.arange(window.shape[0]) + y0 + 0.5 - y)[:, None]
        if thing.square:
            window[:] = (dx <= thing.size / 2) & (dy <= thing.size / 2)
        else:
            window[:] = dx**2 + dy**2 <= (thing.size / 2) ** 2
        return mask

    def mask(self, t: int, k: int) -> Bool:
        """What is seen of thing `k` in frame `t`."""
        if (t, k) not in self._masks:
            mask = self._drawn(self.things[k], t)
            for other in self.things[k + 1 :]:
                mask &= ~self._drawn(other, t)
            self._masks[t, k] = mask
        return self._masks[t, k]

    @cached_property
    def present(self) -> Bool:
        """(T, K) whether anything is seen of each thing."""
        T, K = len(self.frames), len(self.things)
        return np.array([[self.mask(t, k).any() for k in range(K)] for t in range(T)]).reshape(T, K)

    def box(self, t: int, k: int) -> F64:
        rows, columns = np.nonzero(self.mask(t, k))
        return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], float)

    def clip(self, phrases: Sequence[str] | None = None) -> Clip:
        if phrases is None:
            phrases = list(dict.fromkeys(thing.phrase for thing in self.things))
        return clip_of(self.frames, phrases)


@dataclass
class DrawnModel:
    world: World

    def setup(self, *, device: str) -> None: ...

    def destroy(self) -> None: ...

    def card(self) -> ModelCard:
        return ModelCard("drawn")


@dataclass
class DrawnDetector(DrawnModel):
    """Boxes of what is seen, with errors on purpose."""

    missed_share: float = 0.0
    missed: frozenset[tuple[int, int]] = frozenset()
    """(frame, thing) left out."""
    duplicates_share: float = 0.0
    jitter_px: float = 0.0
    wrong_phrase_share: float = 0.0
    shuffled: bool = False
    score: float = 0.9
    min_area: int = 12
    ghosts: Sequence[tuple[int, int, tuple[float, float, float, float], float]] = ()
    """(frame, phrase, box, score) of boxes around nothing."""
    seed: int = 0
    given: set[tuple[int, int]] = field(default_factory=set)
    """(frame, thing) that had a box."""

    def detect(self, frames: Frames, *, at: Sequence[int], phrases: Sequence[str]) -> Detections:
        rng = np.random.default_rng(self.seed)
        rows: list[tuple[int, int, F64, float]] = []
        for t in at:
            for k, thing in enumerate(self.world.things):
                lost = rng.random() < self.missed_share or (t, k) in self.missed
                doubled = rng.random() < self.duplicates_share
                confused = rng.random() < self.wrong_phrase_share
                if lost or self.world.mask(t, k).sum() < self.min_area:
                    continue
                self.given.add((t, k))
                wanted = [i for i, phrase in enumerate(phrases) if phrase == thing.phrase]
                if confused:
                    wanted = [int(rng.integers(len(phrases)))]
                for phrase in wanted:
                    for _ in range(1 + doubled):
                        box = self.world.box(t, k) + self.jitter_px * rng.standard_normal(4)
                        rows.append((t, phrase, box, self.score - 0.1 * rng.random()))
        rows += [
            (t, phrase, np.array(box), score) for t, phrase, box, score in self.ghosts if t in at
        ]
        if self.shuffled:
            rng.shuffle(rows)  # type: ignore[arg-type]
        return Detections(
            np.array([row[0] for row in rows], np.int32),
            np.array([row[1] for row in rows], np.int32),
            np.array([row[2] for row in rows], np.float32).reshape(-1, 4),
            np.array([row[3] for row in rows], np.float32),
        )


@dataclass
class DrawnMasks(DrawnModel):
    """Exact masks of the thing that a box fits best; of the box itself where there is none."""

    stops_when_hidden: bool = True
    """A thing that was out of sight is lost until it is prompted again."""
    wakes: bool = False
    """Not lost after all: it comes back by itself."""
    jumps: frozenset[tuple[int, int, int]] = frozenset()
    """(frame, thing, other): from this frame on the masks of a thing are the other's."""
    n_asked: int = 0
    """Masks of frames and objects that were asked for."""

    def session(self, frames: Frames) -> DrawnSession:
        return DrawnSession(self)


@dataclass
class DrawnSession:
    model: DrawnMasks
    objects: dict[int, tuple[int, int, F64]] = field(default_factory=dict)
    """Number: thing (-1: none), frame of the prompt, box."""

    def add_box(self, object_id: int, *, frame: int, box_xyxy: F64) -> Bool:
        assert object_id not in self.objects
        world = self.model.world
        overlaps = [
            box_iou(world.box(frame, k), box_xyxy) if world.present[frame, k] else 0.0
            for k in range(len(world.things))
        ]
        best = int(np.argmax(overlaps)) if max(overlaps, default=0) > 0.3 else -1
        self.objects[object_id] = (best, frame, np.asarray(box_xyxy, float))
        return self._mask(object_id, frame)

    def add_mask(self, object_id: int, *, frame: int, mask: Bool) -> None:
        rows, columns = np.nonzero(mask)
        box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], float)
        self.add_box(object_id, frame=frame, box_xyxy=box)

    def remove(self, object_id: int) -> None:
        del self.objects[object_id]

    def propagate(
        self, *, first: int, end: int, objects: Sequence[int] | None = None
    ) -> Iterator[FrameMasks]:
        for frame in range(first, end, 1 if end >= first else -1):
            wanted = sorted(self.objects if objects is None else objects)
            self.model.n_asked += len(wanted)
            masks = np.array([self._mask(k, frame) for k in wanted])
            score = masks.any(axis=(1, 2)).astype(np.float32)
            yield FrameMasks(frame, np.array(wanted, np.int32), masks, score)

    def _mask(self, object_id: int, frame: int) -> Bool:
        thing, prompted, box = self.objects[object_id]
        world = self.model.world
        if thing < 0:
            mask = np.zeros((world.height, world.width), np.bool_)
            x0, y0, x1, y1 = np.round(box).astype(int)
            mask[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = True
            return mask
        between = range(min(frame, prompted), max(frame, prompted) + 1)
        hidden = not world.present[between.start : between.stop, thing].all()
        if hidden and self.model.stops_when_hidden and not self.model.wakes:
            return np.zeros((world.height, world.width), np.bool_)
        followed = thing
        for at, from_thing, other in self.model.jumps:
            if followed == from_thing and prompted < at <= frame:
                thing = other
        return world.mask(frame, thing).copy()


def box_iou(box: F64, other: F64) -> float:
    low, high = np.maximum(box[:2], other[:2]), np.minimum(box[2:], other[2:])
    both = np.prod(np.maximum(high - low, 0))
    return float(both / (np.prod(box[2:] - box[:2]) + np.prod(other[2:] - other[:2]) - both))


def clip_of(frames: Frames, phrases: Sequence[str]) -> Clip:
    """A clip of `frames` before the first stage."""
    video = Video(
        uri="drawn.mp4",
        video_id=frames.video_id,
        source_id=frames.source_id,
        size_bytes=1,
        container="mp4",
        codec="h264",
        pixel_format="yuv420p",
        width=frames.source_width,
        height=frames.source_height,
        rotation=0,
        sample_aspect=Fraction(1),
        color_space="bt709",
        color_range="tv",
        time_base=frames.time_base,
        first_pts=0,
        duration_s=len(frames) / 10,
        n_frames=len(frames),
        variable_rate=False,
        damaged=False,
    )
    return Clip(
        clip_id="c" * 32,
        clip_index=0,
        video=video,
        first_pts=0,
        end_pts=len(frames),
        sampling="all",
        phrases=tuple(Phrase(text) for text in phrases),
        frames=frames,
    )


def line(T: int, start: tuple[float, float], end: tuple[float, float]) -> F64:
    """(T, 2) from `start` to `end` at constant speed."""
    return np.linspace(start, end, T)


def only(path: F64, first: int, end: int) -> F64:
    """The path in frames first..end (exclusive), elsewhere not there."""
    kept = np.full_like(path, np.nan)
    kept[first:end] = path[first:end]
    return kept


def annotated(
    world: World,
    *,
    phrases: Sequence[str] | None = None,
    detector: DrawnDetector | None = None,
    masks: DrawnMasks | None = None,
    key_every: int = 32,
    **options: float,
) -> Clip:
    """The world's clip after both stages."""
    detect = DetectPhrases(detector or DrawnDetector(world), key_every=key_every)
    propagate = PropagateMasks(propagator=masks or DrawnMasks(world), **options)  # type: ignore[arg-type]
    return propagate.process(detect.process(world.clip(phrases)))
