"""Black bars: where the picture is within them, and that nothing is looked for in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from massannot.clip import Clip, Frames, Phrase
from massannot.geometry import rle
from massannot.geometry.active_area import Area, active_area
from massannot.geometry.presence import MaskPath, presence_of_all
from massannot.models.camera_pinhole import PinholeCamera
from massannot.models.protocols import (
    F32,
    F64,
    Bool,
    Detections,
    FrameMasks,
    ModelCard,
    PointTracks,
)
from massannot.scenes.render import render
from massannot.scenes.world import SceneOptions, make_scene
from massannot.stages.detect_phrases import DetectPhrases
from massannot.stages.propagate_masks import PropagateMasks
from massannot.stages.track_points import TrackPoints
from massannot.video.film_encoder import FilmWriter
from massannot.video.reader import read_clips, release
from massannot.video.sampling import Sampling
from massannot.video.shot_rule import ShotRule
from tests.unit import shot_films

HEIGHT, WIDTH = 96, 128
SCENE = make_scene(31, SceneOptions(width=WIDTH, height=HEIGHT, n_frames=12, fps=12))


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """(12, 96, 128, 3) of a rendered scene."""
    return np.stack([render(SCENE, k).rgb for k in range(SCENE.n_frames)])


def barred(pictures: np.ndarray, *, above: int = 0, beside: int = 0) -> np.ndarray:
    """The same with bars around, two of a size."""
    return np.pad(pictures, ((0, 0), (above, above), (beside, beside), (0, 0)))


def write(path: Path, pictures: np.ndarray, *, fps: int = 12, crf: int = 20) -> Path:
    height, width = pictures.shape[1:3]
    with FilmWriter(path, width=width, height=height, fps=Fraction(fps), crf=crf) as film:
        for picture in pictures:
            film.write(picture)
    return path


def read(path: Path) -> list[Clip]:
    found = list(read_clips(str(path), sampling=Sampling(fps=None, shots=ShotRule())))
    return [clip for clip in found if isinstance(clip, Clip)]


BARS = [
    pytest.param(16, 0, id="letterbox"),
    pytest.param(10, 0, id="letterbox that ends within a codec's block"),
    pytest.param(0, 38, id="pillarbox"),
    pytest.param(12, 16, id="both"),
]


@pytest.mark.seen("shots", "engine alone")
@pytest.mark.parametrize(("above", "beside"), BARS)
@pytest.mark.parametrize("crf", [20, 34])
def test_the_picture_between_bars_of_a_film_is_found(
    pictures: np.ndarray, tmp_path: Path, above: int, beside: int, crf: int
) -> None:
    (clip,) = read(
        write(tmp_path / "film.mp4", barred(pictures, above=above, beside=beside), crf=crf)
    )
    expected = (beside, above, beside + WIDTH, above + HEIGHT)
    assert np.abs(np.subtract(clip.frames.area, expected)).max() <= 1
    assert clip.frames.has_bars
    columns = clip.read_columns()
    assert tuple(columns[f"active_{side}"] for side in ("x0", "y0", "x1", "y1")) == clip.frames.area
    release(clip)


def night(pictures: np.ndarray) -> np.ndarray:
    """A lamp lights a part of the scene, the rest is black."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    light = np.clip(1.2 - np.hypot(rows - 48, columns - 64) / 40, 0, 1)
    return (pictures * light[..., None]).astype(np.uint8)


def faint(pictures: np.ndarray) -> np.ndarray:
    return (pictures * 0.06).astype(np.uint8)


def horizon(pictures: np.ndarray) -> np.ndarray:
    """A black sky over a lit ground, and no bar below."""
    dark = pictures.copy()
    dark[:, :30] = 0
    return dark


def title(pictures: np.ndarray) -> np.ndarray:
    """White words on black."""
    card = np.zeros_like(pictures)
    card[:, 40:56, 30:98:6] = 255
    return card


def thing_on_black(pictures: np.ndarray) -> np.ndarray:
    """A bright disc that stands before black."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    disc = np.hypot(rows - 48, columns - 64) < 25
    return np.where(disc[..., None], 200, 0).astype(np.uint8) * np.ones_like(pictures)


def words_in_a_bar(pictures: np.ndarray) -> np.ndarray:
    both = barred(pictures, above=16)
    both[:, -12:-4, 20:100:3] = 255
    return both


WHOLE: list[Callable[[np.ndarray], np.ndarray]] = [
    lambda pictures: pictures, night, faint, horizon, title, thing_on_black, words_in_a_bar,
    lambda pictures: night(faint(pictures)), np.zeros_like,
]  # fmt: skip


@pytest.mark.parametrize("film", WHOLE)
def test_a_film_without_bars_keeps_all_of_its_picture_however_dark(
    pictures: np.ndarray, film: Callable[[np.ndarray], np.ndarray]
) -> None:
    assert active_area(film(pictures)) is None


def test_bars_of_a_dark_shot_are_found_where_their_edge_is_sharp(pictures: np.ndarray) -> None:
    """Of a real film's dark shots a third of the line at the edge is brighter than 28 levels."""
    assert active_area(barred(faint(pictures), above=16)) == (0, 16, WIDTH, 16 + HEIGHT)
    above_two = barred(faint(pictures) + 2, above=16)
    above_two[:, [*range(16), *range(-16, 0)]] = 2
    assert active_area(above_two) == (0, 16, WIDTH, 16 + HEIGHT)


def test_a_bar_is_dark_in_every_frame(pictures: np.ndarray) -> None:
    """A thing that enters what is black meanwhile shows that it is picture."""
    film = barred(pictures, above=16)
    assert active_area(film) == (0, 16, WIDTH, 16 + HEIGHT)
    film[7, :16] = 90
    assert active_area(film) is None


def test_an_empty_card_between_bars_belongs_to_no_clip(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    shots = [np.round(shot_films.shot(rng, 20)).astype(np.uint8) for _ in range(2)]
    card = np.full_like(shots[0], 180)
    film = barred(np.concatenate([shots[0], card, shots[1]]), above=12)
    clips = read(write(tmp_path / "film.mp4", film, fps=10))
    frames = [sorted(round(t * 10) for t in clip.frames.t_s) for clip in clips]
    assert [clip.shot for clip in clips] == [0, 1]
    assert (frames[0][0], frames[-1][-1]) == (0, 59)
    assert not {*range(21, 39)} & {t for of_clip in frames for t in of_clip}
    assert [clip.frames.has_bars for clip in clips] == [True, True]


def test_the_lens_is_that_of_the_picture_and_not_of_its_bars(
    pictures: np.ndarray, tmp_path: Path
) -> None:
    plain, boxed = (
        read(write(tmp_path / f"{n}.mp4", barred(pictures, beside=beside)))[0]
        for n, beside in enumerate((0, 38))
    )
    lens, other = (PinholeCamera().estimate_cameras(c.frames).intrinsics[0] for c in (plain, boxed))
    assert other == pytest.approx(np.add(lens, [0, 0, 38, 0]), abs=1.2)


class Wide:
    """Answers with two boxes: one from the picture's top to its bottom, and one within a bar; masks
    are their boxes, and points fall a twelfth of the picture's height a frame."""

    def setup(self, *, device: str) -> None: ...

    def destroy(self) -> None: ...

    def card(self) -> ModelCard:
        return ModelCard("wide")

    def detect(self, frames: Frames, *, at: Sequence[int], phrases: Sequence[str]) -> Detections:
        n = len(at)
        boxes = [[20, 0, 60, frames.height], [70, 2, 100, 12]]
        return Detections(
            frame=np.repeat(at, 2).astype(np.int32),
            phrase=np.zeros(2 * n, np.int32),
            boxes_xyxy=np.tile(np.array(boxes, np.float32), (n, 1)),
            score=np.full(2 * n, 0.9, np.float32),
        )

    def session(self, frames: Frames) -> Wide:
        self.shape, self.boxes = (frames.height, frames.width), dict[int, F32]()
        return self

    def add_box(self, object_id: int, *, frame: int, box_xyxy: F32) -> Bool:
        self.boxes[object_id] = box_xyxy
        return self.mask(object_id)

    def mask(self, object_id: int) -> Bool:
        """All of the picture's height at the box."""
        mask = np.zeros(self.shape, np.bool_)
        mask[:, int(self.boxes[object_id][0]) : int(self.boxes[object_id][2])] = True
        return mask

    def remove(self, object_id: int) -> None:
        self.boxes.pop(object_id, None)

    def propagate(
        self, *, first: int, end: int, objects: Sequence[int] | None = None
    ) -> Iterator[FrameMasks]:
        wanted = list(self.boxes if objects is None else objects)
        for frame in range(first, end, 1 if end > first else -1):
            masks = np.array([self.mask(n) for n in wanted])
            yield FrameMasks(
                frame, np.array(wanted, np.int32), masks, np.ones(len(wanted), np.float32)
            )

    def track(self, frames: Frames, *, queries_txy: F64) -> PointTracks:
        n_frames, n_points = len(frames), len(queries_txy)
        fall = np.arange(n_frames)[:, None] - queries_txy[:, 0]
        xy = np.tile(queries_txy[:, 1:], (n_frames, 1, 1))
        xy[..., 1] += fall * frames.height / 12
        ones = np.ones((n_frames, n_points), np.float32)
        return PointTracks(xy.astype(np.float32), ones > 0, ones, ones, 0 * ones)


def test_nothing_is_found_masked_or_followed_in_a_bar(pictures: np.ndarray, tmp_path: Path) -> None:
    (clip,) = read(write(tmp_path / "film.mp4", barred(pictures, above=16)))
    clip = replace(clip, phrases=(Phrase("ball"),))
    model = Wide()
    stages = (DetectPhrases(model), PropagateMasks(propagator=model), TrackPoints(model))  # type: ignore[arg-type]
    for stage in stages:
        clip = stage.process(clip)
    found = clip.table("detections").to_pylist()
    assert {(row["y0"], row["y1"]) for row in found if row["rejected"] is None} == {(16, 112)}
    assert {row["x0"] for row in found if row["rejected"] == "empty_mask"} == {70}
    masks = clip.table("masks")
    assert masks.num_rows == len(clip)
    assert {*zip(masks["y0"].to_pylist(), masks["y1"].to_pylist(), strict=True)} == {(16, 112)}
    assert set(masks["state"].to_pylist()) == {"visible"}
    points = clip.table("tracks_xy").to_pylist()
    assert {row["entity"] for row in points} == {-1, 0}
    for row in points:
        inside = [16 <= y < 112 for y in row["y"]]
        assert row["visible"] == inside
        assert inside[row["query_frame"]]
    assert not all(all(row["visible"]) for row in points)


def test_a_thing_that_goes_behind_the_edge_of_a_bar_has_left() -> None:
    def path(x: int) -> tuple[int, str, tuple[int, int, int, int], int, float]:
        mask = np.zeros((48, 64), np.bool_)
        mask[20:30, max(8, x) : x + 10] = True
        box = (max(8, x), 20, x + 10, 30)
        return x, rle.encode(mask), box, int(mask.sum()), 1.0

    rows = [
        (t, *path(24 - 4 * t)[1:]) for t in range(6)
    ]  # at 4 when last seen, six columns in sight
    thing = MaskPath.of(10, rows)
    for area, state in ((None, "lost"), (Area(8, 0, 56, 48), "left")):
        states = presence_of_all({0: thing}, height=48, width=64, area=area)[0]
        assert states.tolist() == ["seen"] * 6 + [state] * 4
