"""Which frames a clip takes: exact times, no frame twice, cuts and overlaps in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massannot.video.sampling import Cut, CutRules, SpanCutter

MS = Fraction(1, 1000)
Seconds = tuple[Fraction | None, Fraction | None]
WHOLE: tuple[Seconds, ...] = ((None, None),)


def cut(
    pts: list[int],
    *,
    fps: Fraction | None,
    spans: tuple[Seconds, ...] = WHOLE,
    clip_s: int = 20,
    max_frames: int = 256,
    time_base: Fraction = MS,
    shared: bool = False,
) -> tuple[list[tuple[Cut, list[int]]], SpanCutter]:
    """Finished cuts in the order in which they are finished, each with the times it took."""
    rules = CutRules(fps, Fraction(clip_s), max_frames, shared)
    cutter = SpanCutter(spans, rules=rules, time_base=time_base, first_pts=pts[0])
    taken: dict[int, list[int]] = {}
    finished: list[Cut] = []
    for time in pts:
        step = cutter.step(time)
        finished += step.finished
        for taking in step.taking:
            taken.setdefault(taking.clip_index, []).append(time)
    finished += cutter.finish(pts[-1] + 1)
    return [(done, taken[done.clip_index]) for done in finished], cutter


@dataclass(frozen=True)
class Row:
    words: str
    pts: list[int]
    fps: Fraction | None
    taken: list[int]


ROWS = [
    Row("all", [0, 40, 55], None, [0, 40, 55]),
    Row("25 fps at 10 fps", list(range(0, 500, 40)), Fraction(10), [0, 120, 200, 320, 400]),
    Row("rate of the source", list(range(0, 500, 100)), Fraction(10), [0, 100, 200, 300, 400]),
    Row("above the source: every frame once", [0, 100, 200], Fraction(1000), [0, 100, 200]),
    Row("30 fps rounded to ms", [0, 33, 67, 100, 133], Fraction(30), [0, 33, 67, 100, 133]),
    Row("30 fps rounded down", [0, 33, 66, 100, 133], Fraction(30), [0, 33, 66, 100, 133]),
    Row("a gap swallows its targets", [0, 10, 950, 990, 1000], Fraction(10), [0, 950, 1000]),
    Row("times do not start at zero", [-7, 93, 193], Fraction(10), [-7, 93, 193]),
    Row("a target between two units", [0, 1, 2, 3, 4, 5], Fraction(400), [0, 2, 5]),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.words)
def test_a_target_is_taken_by_the_first_frame_at_or_after_it(row: Row) -> None:
    ((_, taken),), _ = cut(row.pts, fps=row.fps)
    assert taken == row.taken


@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=60),
    st.fractions(min_value=Fraction(1, 2), max_value=200),
    st.sampled_from([MS, Fraction(1, 90000), Fraction(1001, 30000), Fraction(1, 12800)]),
)
def test_sampling_equals_its_definition(
    steps: list[int], fps: Fraction, time_base: Fraction
) -> None:
    """Target k, rounded down to a pts unit, goes to the first frame at or after it."""
    pts = [0]
    for step in steps:
        pts.append(pts[-1] + step)
    ((_, taken),), _ = cut(pts, fps=fps, time_base=time_base, clip_s=10**6, max_frames=10**6)
    expected = set()
    k = 0
    while (target := (k / (fps * time_base)).__floor__()) <= pts[-1]:
        expected.add(min(time for time in pts if time >= target))
        k += 1
    assert taken == sorted(expected)


def test_without_a_span_a_video_is_cut_every_clip_s_and_targets_start_afresh() -> None:
    cuts, _ = cut(list(range(0, 2500, 100)), fps=Fraction(3), clip_s=1)
    assert [(c.clip_index, c.first_pts, c.end_pts, taken) for c, taken in cuts] == [
        (0, 0, 1000, [0, 400, 700]),
        (1, 1000, 2000, [1000, 1400, 1700]),
        (2, 2000, 2401, [2000, 2400]),
    ]


def test_a_cut_without_frames_is_no_clip_and_no_failure() -> None:
    cuts, cutter = cut([0, 100, 5100, 5200], fps=None, clip_s=1)
    assert [(c.clip_index, c.first_pts, c.end_pts) for c, _ in cuts] == [
        (0, 0, 1000),
        (1, 5100, 5201),
    ]
    assert cutter.empty == []


def test_a_clip_ends_where_its_shot_ends_and_the_targets_go_on() -> None:
    """Shots of 500 ms, a transition of 200 ms, a shot to the end."""
    rules = CutRules(Fraction(5), Fraction(20), 256)
    cutter = SpanCutter(WHOLE, rules=rules, time_base=MS, first_pts=0)
    finished, taken = [], {}
    for pts in range(0, 1500, 50):
        shot = 0 if pts < 500 else 1 if pts < 850 else None if pts < 1050 else 2
        step = cutter.step(pts, shot=shot)
        finished += step.finished
        for each in step.taking:
            taken.setdefault(each.clip_index, []).append(pts)
    finished += cutter.finish(1500)
    assert [(c.clip_index, c.shot, c.first_pts, c.end_pts) for c in finished] == [
        (0, 0, 0, 500),
        (1, 1, 600, 850),
        (2, 2, 1200, 1500),
    ]
    assert taken == {0: [0, 200, 400], 1: [600, 800], 2: [1200, 1400]}


def test_a_shot_does_not_begin_with_what_was_left_of_a_clip_of_the_one_before() -> None:
    """Clips of 1 s, a cut at 950 ms: one clip goes from there to 1950 ms."""
    rules = CutRules(Fraction(10), Fraction(1), 256, shared_frames=True)
    cutter = SpanCutter(WHOLE, rules=rules, time_base=MS, first_pts=0)
    finished: list[Cut] = []
    for pts in range(0, 2500, 50):
        finished += cutter.step(pts, shot=0 if pts < 950 else 1).finished
    finished += cutter.finish(2500)
    assert [(c.shot, c.first_pts, c.end_pts, c.n_frames) for c in finished] == [
        (0, 0, 950, 10),
        (1, 1000, 2000, 10),
        (1, 1900, 2500, 6),
    ]


def test_a_span_of_frames_without_a_shot_is_named_as_such() -> None:
    rules = CutRules(None, Fraction(20), 256)
    spans = ((None, MS * 100), (MS * 120, MS * 180), (MS * 200, None))
    cutter = SpanCutter(spans, rules=rules, time_base=MS, first_pts=0)
    for pts in range(0, 300, 100):
        cutter.step(pts, shot=None if pts < 200 else 0)
    assert len(list(cutter.finish(300))) == 1
    assert [(e.span, e.without_shot) for e in cutter.empty] == [(0, True), (1, False)]


def test_max_frames_cuts_and_the_targets_go_on() -> None:
    cuts, _ = cut(list(range(0, 1000, 50)), fps=Fraction(10), max_frames=4)
    assert [taken for _, taken in cuts] == [
        [0, 100, 200, 300],
        [400, 500, 600, 700],
        [800, 900],
    ]
    assert [c.end_pts for c, _ in cuts] == [400, 800, 951]


@dataclass(frozen=True)
class Sharing:
    words: str
    clip_s: int
    max_frames: int
    spans: tuple[Seconds, ...]
    ends: list[tuple[int, int, bool]]
    """First and last frame of each clip, and whether it shares its last."""


SHARING = [
    Sharing("clip_s", 1, 256, WHOLE, [(0, 900, True), (900, 1900, True), (1900, 2400, False)]),
    Sharing("the cap", 20, 10, WHOLE, [(0, 900, True), (900, 1800, True), (1800, 2400, False)]),
    Sharing("both", 1, 8, WHOLE,
            [(0, 700, True), (700, 900, True), (900, 1600, True), (1600, 1900, True),
             (1900, 2400, False)]),
    Sharing("the video ends at the cap", 20, 25, WHOLE, [(0, 2400, False)]),
    Sharing("a span with an end", 1, 10, ((Fraction(1, 2), Fraction(2)),),
            [(500, 1400, True), (1400, 1900, False)]),
    Sharing("spans share with none of the others", 1, 256,
            ((Fraction(0), Fraction(1)), (Fraction(1), Fraction(2))),
            [(0, 900, False), (1000, 1900, False)]),
]  # fmt: skip


@pytest.mark.parametrize("row", SHARING, ids=lambda row: row.words)
def test_clips_of_one_span_share_their_boundary_frame(row: Sharing) -> None:
    """`Step.taking` names what a frame adds; the one that was taken before is in `begins_with`."""
    cuts, _ = cut(
        list(range(0, 2500, 100)),
        fps=None,
        spans=row.spans,
        clip_s=row.clip_s,
        max_frames=row.max_frames,
        shared=True,
    )
    assert [(c.first_pts, c.last_pts, c.shares_last) for c, _ in cuts] == row.ends
    for done, taken in cuts:
        before = [] if done.begins_with is None else [done.begins_with.last_pts]
        assert done.n_frames == len(before + taken) <= row.max_frames
        assert (before + taken)[0] == done.first_pts


def test_no_frame_is_shared_over_a_cut_of_the_film_or_a_change_of_size() -> None:
    rules = CutRules(None, Fraction(1), 4, shared_frames=True)
    cutter = SpanCutter(WHOLE, rules=rules, time_base=MS, first_pts=0)
    finished: list[Cut] = []
    for pts in range(0, 2000, 100):
        step = cutter.step(pts, shot=int(pts >= 1000), other_size=pts == 1400)
        finished += step.finished
    finished += cutter.finish(2000)
    assert [(c.shot, c.first_pts, c.last_pts, c.shares_last) for c in finished] == [
        (0, 0, 300, True),
        (0, 300, 600, True),
        (0, 600, 900, False),
        (1, 1000, 1300, False),
        (1, 1400, 1700, True),
        (1, 1700, 1900, False),
    ]


def test_a_span_of_exactly_max_frames_is_one_clip() -> None:
    span = (Fraction(0), Fraction(4, 10))
    cuts, _ = cut(list(range(0, 1000, 100)), fps=None, spans=(span,), max_frames=4)
    assert [taken for _, taken in cuts] == [[0, 100, 200, 300]]


def test_a_span_equal_to_a_cut_takes_the_same_frames_and_has_the_same_ends() -> None:
    pts = list(range(0, 5000, 33))
    cuts, _ = cut(pts, fps=Fraction(7), clip_s=2)
    spans, _ = cut(pts, fps=Fraction(7), spans=((Fraction(2), Fraction(4)),))
    (as_cut, frames_of_cut), (as_span, frames_of_span) = cuts[1], spans[0]
    assert frames_of_cut == frames_of_span
    assert (as_cut.first_pts, as_cut.end_pts) == (as_span.first_pts, as_span.end_pts)


def test_overlapping_spans_are_served_in_one_pass_in_order_of_time() -> None:
    spans: tuple[Seconds, ...] = (
        (Fraction(3, 10), Fraction(8, 10)),
        (Fraction(0), Fraction(5, 10)),
        (Fraction(7, 10), None),
    )
    cuts, _ = cut(list(range(0, 1000, 100)), fps=None, spans=spans)
    assert [(c.clip_index, c.span, taken) for c, taken in cuts] == [
        (0, 1, [0, 100, 200, 300, 400]),
        (1, 0, [300, 400, 500, 600, 700]),
        (2, 2, [700, 800, 900]),
    ]


def test_spans_without_frames_are_named_in_order_of_time() -> None:
    spans: tuple[Seconds, ...] = (
        (Fraction(9), Fraction(10)),
        (Fraction(11, 100), Fraction(19, 100)),
        (Fraction(0), Fraction(1)),
        (Fraction(5, 10), Fraction(2, 10)),
    )
    cuts, cutter = cut(list(range(0, 1000, 100)), fps=None, spans=spans)
    assert [(c.clip_index, c.span) for c, _ in cuts] == [(0, 2)]
    assert [(e.clip_index, e.span) for e in cutter.empty] == [(1, 1), (2, 3), (3, 0)]


def test_reading_may_stop_when_no_span_needs_more() -> None:
    rules = CutRules(None, Fraction(20), 256)
    cutter = SpanCutter(((Fraction(0), MS * 50),), rules=rules, time_base=MS, first_pts=0)
    assert [cutter.step(time).taking != () for time in (0, 40, 80)] == [True, True, False]
    assert cutter.exhausted
