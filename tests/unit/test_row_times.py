"""Which row is which frame: stated numbers and times decide, what nobody can tell is refused, and
rows at no moment of the video are counted or refused."""

from __future__ import annotations

import warnings
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from massannot.clip import Frames
from massannot.errors import MassannotWarning, ModelFailed, UsageError
from massannot.models.recorded.depth_files import RecordedDepth
from massannot.models.recorded.row_times import RowTimes, rows_for
from massannot.video.reader import read_clips
from massannot.video.sampling import Sampling
from tests.faults.tiny_run import write_videos
from tests.unit.test_answers import HEIGHT, WIDTH, annotated, coco, frames_at, seen

TICKS = 512
"""Of a picture, in units of the time base."""


def frames_of(numbers: range, *, rate: int = 10, n_video: int | None = 10) -> Frames:
    """These pictures of a film with `n_video`; None: its header does not say how long it is."""
    taken = np.array(numbers)
    return replace(
        frames_at([n / rate for n in numbers]),
        pts=taken * TICKS,
        time_base=Fraction(1, TICKS * rate),
        numbers=taken,
        video_s=None if n_video is None else n_video / rate,
    )


def answered(frames: Frames, n_rows: int, **times: Any) -> dict[int, int]:
    """The row of each frame that has one; a warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = rows_for(frames, RowTimes(n_rows, **times), where="f")
    return {frame: int(row) for frame, row in enumerate(rows) if row >= 0}


EVERY, SAMPLED = range(10), range(0, 30, 3)


def stated(numbers: Any, **options: Any) -> dict[str, Any]:
    return {"numbers": list(numbers), "numbers_are_frames": True, **options}


def test_stated_numbers_are_pictures_of_the_video() -> None:
    sampled = frames_of(SAMPLED, rate=30, n_video=30)  # ten frames, as many as the file has rows
    assert answered(sampled, 10, **stated(range(10), first_number=0)) == {0: 0, 1: 3, 2: 6, 3: 9}
    assert answered(sampled, 10, **stated(range(1, 11))) == {0: 0, 1: 3, 2: 6, 3: 9}
    later = frames_of(range(10, 20), n_video=20)  # the second clip of a film
    assert answered(later, 3, **stated([0, 12, 15], first_number=0)) == {2: 1, 5: 2}
    assert answered(frames_of(EVERY), 3, **stated([2, 7, 9], first_number=0)) == {2: 0, 7: 1, 9: 2}


def test_a_films_frame_index_decides_though_there_are_as_many_images_as_frames(
    tmp_path: Path,
) -> None:
    content = coco()
    for number, image in enumerate(content["images"]):
        image["frame_index"] = number
    sampled = frames_of(SAMPLED, rate=30, n_video=30)
    clip = annotated(tmp_path, content, frames=sampled)
    assert seen(clip) == {0: {0: 10.0, 1: 19.0, 2: 28.0, 3: 37.0}}
    for image in content["images"]:
        image["frame_index"] += 500
    with pytest.raises(ModelFailed, match=r"none of its 10 .* found 50 to 50.9 s, .* 0 to 1 s"):
        annotated(tmp_path, content, frames=frames_of(EVERY))
    for image in content["images"]:
        image["frame_id"] = image.pop("frame_index")
    with pytest.raises(UsageError, match="frame numbers begin with 500"):
        annotated(tmp_path, content, frames=frames_of(EVERY))


def test_numbers_in_names_are_not_guessed_where_only_some_pictures_are_annotated() -> None:
    sampled = frames_of(SAMPLED, rate=30, n_video=30)
    with pytest.raises(
        ModelFailed,
        match=r"numbers from 0 to 9 .*--set detect.first_number=0, .*--set detect.fps=",
    ):
        answered(sampled, 10, numbers=list(range(10)))
    assert answered(sampled, 10, numbers=list(range(10)), fps=10.0) == {n: n for n in range(10)}
    assert answered(sampled, 10) == {n: n for n in range(10)}  # no number says anything else
    assert answered(frames_of(EVERY), 10, numbers=list(range(40, 50))) == {n: n for n in range(10)}


def test_frames_that_nobody_counted_are_all_where_they_begin_the_video() -> None:
    uncounted = replace(frames_of(EVERY), numbers=None)
    assert answered(uncounted, 10, **stated(range(10))) == {n: n for n in range(10)}
    with pytest.raises(ModelFailed, match="nobody counted the frames"):
        answered(replace(frames_of(range(10, 20)), numbers=None), 10, **stated(range(10)))


def test_a_reader_counts_the_pictures(tmp_path: Path) -> None:
    (film,) = write_videos(tmp_path, 1)
    (clip, _) = read_clips(film, sampling=Sampling(fps=None))
    (sampled, _) = read_clips(film, sampling=Sampling(fps=2))
    n_pictures = len(clip)
    assert clip.frames.numbers.tolist() == list(range(n_pictures))
    assert (clip.frames.are_all, sampled.frames.are_all) == (True, False)
    pts = clip.frames.pts.tolist()
    assert sampled.frames.numbers.tolist() == [pts.index(p) for p in sampled.frames.pts]
    step_s = clip.frames.t_s[1]
    assert clip.frames.video_s == pytest.approx(n_pictures * step_s)


OUTSIDE: dict[str, tuple[dict[str, Any], str]] = {
    "milliseconds": (
        {"t_s": [100 * n for n in range(10)]},
        (
            r"f: 9 of 10 rows are at no moment of ball: found 0 to 900 s, and the video lasts "
            r"from 0 to 1 s \(pts 0 to 5120\); t_s are seconds: are these milliseconds\?"
        ),
    ),
    "frame numbers": (
        {"pts": list(range(10))},
        r"9 of 10 rows .* found pts 0 to 9, .*\(pts 0 to 5120\); pts .* frame numbers",
    ),
    "a slow rate": ({"fps": 1.0}, r"9 of 10 rows .* found 0 to 9 s, .* at fps 1: is this the rate"),
    "another film's numbers": (
        stated([0, *range(100, 109)], first_number=0),
        r"9 of 10 rows .* found 0 to 10.8 s",
    ),
    "all": (
        {"t_s": [n + 50 for n in range(10)]},
        r"none of its 10 .* found 50 to 59 s, and",
    ),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_most_rows_outside_of_the_video_are_refused(name: str) -> None:
    times, message = OUTSIDE[name]
    with pytest.raises(ModelFailed, match=message):
        answered(frames_of(EVERY), 10, **times)


def test_pts_that_are_frame_numbers_are_refused_of_some_pictures_too() -> None:
    sampled = frames_of(SAMPLED, rate=30, n_video=30)
    with pytest.raises(ModelFailed, match=r"29 of 30 rows .* frame numbers \(frame_index\)"):
        answered(sampled, 30, pts=list(range(30)))
    assert answered(sampled, 30, pts=[TICKS * n for n in range(30)]) == {
        n: 3 * n for n in range(10)
    }


COUNTED: dict[str, tuple[int, dict[str, Any], str]] = {
    "two beyond the end": (
        12,
        {"fps": 10.0},
        (
            "f: 2 of 12 rows answer for no frame of ball, 2 outside of the video: found 0 to 1.1 "
            "s, and the video lasts from 0 to 1 s"
        ),
    ),
    "before the start": (
        10,
        {"t_s": [n / 10 - 0.3 for n in range(10)]},
        "f: 3 of 10 rows answer for no frame of ball, 3 outside of the video: found -0.3 to 0.6 s",
    ),
    "a fast rate": (
        10,
        {"fps": 30.0},
        "f: 6 of 10 rows answer for no frame of ball, 6 between its frames: found 0 to 0.3 s",
    ),
}


@pytest.mark.parametrize("name", COUNTED)
def test_rows_that_no_frame_has_are_counted(name: str) -> None:
    n_rows, times, message = COUNTED[name]
    with pytest.warns(MassannotWarning) as caught:
        rows_for(frames_of(EVERY), RowTimes(n_rows, **times), where="f")
    assert [str(w.message).startswith(message) for w in caught] == [True]


def test_rows_of_the_rest_of_a_film_are_not_outside() -> None:
    clip = frames_of(range(30, 40), n_video=300)
    assert answered(clip, 300, fps=10.0) == {n: 30 + n for n in range(10)}
    sampled = frames_of(SAMPLED, rate=30, n_video=300)
    assert answered(sampled, 300, fps=30.0) == {n: 3 * n for n in range(10)}
    of_unknown_length = frames_of(EVERY, n_video=None)
    assert answered(of_unknown_length, 300, fps=10.0) == {n: n for n in range(10)}


def test_what_helps_is_named_where_the_numbers_of_frames_differ() -> None:
    with pytest.raises(ModelFailed) as refused:
        answered(frames_of(EVERY), 12)
    assert "--fps all" not in str(refused.value)
    assert "give pts, t_s or fps in the file (in JSON also frame_index)" in str(refused.value)
    with pytest.raises(ModelFailed, match=r"or annotate every frame \(--fps all\) if it has all"):
        answered(frames_of(SAMPLED, rate=30, n_video=30), 30)


def test_depth_in_milliseconds_is_refused(tmp_path: Path) -> None:
    depth = np.full((10, HEIGHT, WIDTH), 2.0, np.float32)
    np.savez(tmp_path / "d.npz", depth=depth, t_s=np.arange(10) * 100)
    model = RecordedDepth(str(tmp_path / "d.npz"))
    model.setup(device="cpu")
    with pytest.raises(ModelFailed, match=r"d\.npz: 9 of 10 rows .* milliseconds"):
        model.estimate_depth(frames_of(EVERY))
