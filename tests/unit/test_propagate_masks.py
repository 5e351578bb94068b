"""Entities through time: the failures of the well-known scripts, one test each."""

from __future__ import annotations

import dataclasses
import tracemalloc
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from massannot import tables
from massannot.clip import Clip, Frames
from massannot.geometry import rle
from massannot.models.protocols import FrameMasks
from massannot.stages.detect_phrases import DetectPhrases
from massannot.stages.propagate_masks import PropagateMasks
from tests.drawn_world import (
    BLUE,
    CYAN,
    GREEN,
    GREY,
    ORANGE,
    RED,
    DrawnDetector,
    DrawnMasks,
    DrawnSession,
    Thing,
    World,
    annotated,
    clip_of,
    line,
    only,
)

Mask = NDArray[np.bool_]

T = 96
STILL = np.tile([60.0, 60.0], (T, 1))


def visible_masks(clip: Clip) -> dict[tuple[int, int], NDArray[np.bool_]]:
    """(entity, frame): mask, of those that are not empty."""
    return {
        (row["entity"], row["frame"]): rle.decode(
            row["counts"], height=row["height"], width=row["width"]
        )
        for row in clip.table("masks").to_pylist()
        if row["area"]
    }


def entity_of(clip: Clip, world: World, thing: int) -> list[int | None]:
    """(T,) the entity whose mask equals the thing's in each frame; None: no entity's."""
    masks = visible_masks(clip)
    numbers = range(clip.table("entities").num_rows)
    found: list[int | None] = []
    for t in range(len(clip)):
        truth = world.mask(t, thing)
        same = [n for n in numbers if (n, t) in masks and np.array_equal(masks[n, t], truth)]
        found.append(same[0] if same else None)
    return found


def reasons(clip: Clip) -> list[str | None]:
    return clip.table("detections")["rejected"].to_pylist()


def assert_annotated_wherever_seen(clip: Clip, world: World, thing: int, entity: int) -> None:
    seen = world.present[:, thing]
    assert entity_of(clip, world, thing) == [entity if s else None for s in seen]


def test_every_thing_has_its_exact_masks_boxes_and_one_number() -> None:
    world = World(
        [
            Thing("a ball", RED, 30, line(T, (30, 40), (150, 40))),
            Thing("a box", BLUE, 24, line(T, (160, 90), (40, 90)), square=True),
        ]
    )
    clip = annotated(world)
    for thing in range(2):
        assert_annotated_wherever_seen(clip, world, thing, thing)
    row = clip.table("masks").to_pylist()[5]
    assert [row[name] for name in ("x0", "y0", "x1", "y1")] == world.box(5, 0).tolist()
    assert clip.table("phrases")["n_entities"].to_pylist() == [1, 1]
    assert reasons(clip) == [None] * 8


def test_a_thing_missed_at_a_key_frame_keeps_its_masks_and_number() -> None:
    world = World([Thing("a ball", RED, 30, line(T, (30, 40), (150, 40)))])
    clip = annotated(world, detector=DrawnDetector(world, missed=frozenset({(32, 0), (64, 0)})))
    assert_annotated_wherever_seen(clip, world, 0, 0)


def test_a_return_after_forty_frames_away_keeps_the_number() -> None:
    path = line(T, (60, 60), (60, 60))
    path[20:60] = np.nan
    path[60:] = line(36, (150, 60), (100, 60))
    world = World([Thing("a ball", RED, 30, path), Thing("a box", BLUE, 20, STILL + 40)])
    clip = annotated(world)
    assert_annotated_wherever_seen(clip, world, 0, 0)


def test_a_return_of_something_that_looks_different_is_a_new_entity() -> None:
    world = World(
        [
            Thing("a ball", RED, 30, only(STILL, 0, 20)),
            Thing("a ball", GREEN, 30, only(STILL, 60, T)),
        ]
    )
    clip = annotated(world)
    assert_annotated_wherever_seen(clip, world, 0, 0)
    assert_annotated_wherever_seen(clip, world, 1, 1)


def test_a_return_far_away_after_a_moment_is_a_new_entity() -> None:
    near, far = np.tile([15.0, 20.0], (T, 1)), np.tile([185.0, 100.0], (T, 1))
    world = World(
        [Thing("a ball", RED, 24, only(near, 0, 32)), Thing("a ball", RED, 24, only(far, 32, T))]
    )
    assert annotated(world).table("entities").num_rows == 2


def test_a_thing_that_appears_at_frame_7_is_annotated_from_frame_7() -> None:
    world = World([Thing("a ball", RED, 30, only(STILL, 7, T))])
    clip = annotated(world)
    assert_annotated_wherever_seen(clip, world, 0, 0)
    assert clip.table("entities")["first_frame"].to_pylist() == [7]


def test_a_thing_found_only_in_the_last_frame_is_followed_back_to_its_first() -> None:
    world = World([Thing("a ball", RED, 30, only(STILL, 70, T))])
    clip = annotated(world)
    assert clip.table("detections")["frame"].to_pylist() == [95]
    assert_annotated_wherever_seen(clip, world, 0, 0)


def test_look_alikes_that_cross_keep_their_numbers() -> None:
    world = World(
        [
            Thing("a ball", RED, 30, line(T, (30, 60), (170, 60))),
            Thing("a ball", RED, 30, line(T, (170, 66), (30, 66))),
        ]
    )
    clip = annotated(world, detector=DrawnDetector(world, jitter_px=2))
    for thing in range(2):
        assert_annotated_wherever_seen(clip, world, thing, thing)


def test_one_number_through_a_full_occlusion() -> None:
    world = World(
        [
            Thing("a ball", ORANGE, 20, line(T, (20, 60), (180, 60))),
            Thing("a box", GREY, 50, np.tile([100.0, 60.0], (T, 1)), square=True),
        ]
    )
    clip = annotated(world)
    assert not world.present[:, 0].all()
    assert_annotated_wherever_seen(clip, world, 0, 0)
    assert_annotated_wherever_seen(clip, world, 1, 1)


@pytest.mark.parametrize("wrong_px", [1.0, 2.0])
def test_an_eight_pixel_thing_moving_two_pixels_a_frame_keeps_its_number(wrong_px: float) -> None:
    x = 10 + np.abs((2.0 * np.arange(T)) % 320 - 160)
    world = World([Thing("a ball", RED, 8, np.stack([x, np.full(T, 50.5)], axis=1))])
    clip = annotated(world, detector=DrawnDetector(world, jitter_px=wrong_px))
    assert_annotated_wherever_seen(clip, world, 0, 0)
    assert clip.table("entities").num_rows == 1


def test_two_boxes_on_one_thing_are_one_entity_and_a_recorded_duplicate() -> None:
    world = World([Thing("a ball", RED, 30, STILL)])
    clip = annotated(world, detector=DrawnDetector(world, duplicates_share=1.0, jitter_px=1))
    assert clip.table("entities").num_rows == 1
    assert sorted(reasons(clip), key=str) == [None] * 4 + ["duplicate"] * 4


def test_car_and_truck_on_one_thing_are_one_entity_with_the_better_supported_phrase() -> None:
    world = World([Thing("a truck", RED, 30, STILL)])
    ghosts = [(t, 0, tuple(world.box(t, 0)), 0.6) for t in (0, 32, 64, 95)]
    clip = annotated(
        world, phrases=["a car", "a truck"], detector=DrawnDetector(world, ghosts=ghosts)
    )
    assert clip.table("entities")["phrase"].to_pylist() == [1]
    assert clip.table("phrases")["n_entities"].to_pylist() == [0, 1]


def test_a_phrase_confused_at_one_key_frame_does_not_change_the_entity() -> None:
    world = World([Thing("a ball", RED, 30, STILL)])
    ghosts = [(32, 1, tuple(world.box(32, 0)), 0.95)]
    detector = DrawnDetector(world, missed=frozenset({(32, 0)}), ghosts=ghosts)
    clip = annotated(world, phrases=["a ball", "a box"], detector=detector)
    assert clip.table("entities")["phrase"].to_pylist() == [0]
    assert clip.table("detections")["entity"].to_pylist() == [0] * 4


def test_a_phrase_that_comes_close_every_time_beats_one_that_wins_now_and_then() -> None:
    world = World([Thing("a ball", RED, 30, STILL)])
    ghosts = [(t, 1, tuple(world.box(t, 0)), 0.91) for t in (0, 32, 64)]
    detector = DrawnDetector(world, ghosts=ghosts)
    clip = annotated(world, phrases=["a ball", "a box"], detector=detector)
    assert clip.table("entities")["phrase"].to_pylist() == [0]
    assert sorted(reasons(clip), key=str) == [None] * 4 + ["duplicate"] * 3


def test_overlapping_things_keep_both_masks() -> None:
    world = World(
        [
            Thing("a person", BLUE, 60, STILL, square=True),
            Thing("a hat", RED, 20, STILL - 10),
        ]
    )

    class AmodalMasks(DrawnMasks):
        """The person's mask goes on under the hat."""

    world.mask = lambda t, k: world._drawn(world.things[k], t)  # type: ignore[method-assign]
    clip = annotated(world, masks=AmodalMasks(world))
    masks = visible_masks(clip)
    assert (masks[0, 10] & masks[1, 10]).sum() == masks[1, 10].sum() > 0


def test_no_detection_in_frame_0_loses_nothing() -> None:
    world = World([Thing("a ball", RED, 30, STILL)])
    clip = annotated(world, detector=DrawnDetector(world, missed=frozenset({(0, 0)})))
    assert_annotated_wherever_seen(clip, world, 0, 0)


def test_no_detection_at_all_gives_empty_tables_and_a_phrase_without_entity() -> None:
    world = World([Thing("a ball", RED, 30, STILL)])
    clip = annotated(world, detector=DrawnDetector(world, missed_share=1.0))
    assert [clip.table(n).num_rows for n in ("entities", "masks", "detections")] == [0, 0, 0]
    assert clip.table("phrases")["n_entities"].to_pylist() == [0]


def test_no_phrase_gives_empty_tables() -> None:
    world = World([Thing("a ball", RED, 30, STILL)])
    clip = annotated(world, phrases=[])
    assert [clip.table(n).num_rows for n in ("phrases", "entities", "masks")] == [0, 0, 0]


def test_a_video_of_one_frame_has_its_entities() -> None:
    world = World([Thing("a ball", RED, 30, STILL[:1]), Thing("a box", BLUE, 20, STILL[:1] + 40)])
    clip = annotated(world)
    assert clip.table("masks").num_rows == clip.table("entities").num_rows == 2


@pytest.mark.parametrize("n_frames", [2, 32, 33, 34, 65])
def test_a_last_segment_of_any_length_is_annotated(n_frames: int) -> None:
    world = World([Thing("a ball", RED, 30, line(n_frames, (40, 60), (90, 60)))])
    assert_annotated_wherever_seen(annotated(world), world, 0, 0)


def test_a_box_around_nothing_seen_once_is_unconfirmed() -> None:
    world = World([Thing("a ball", RED, 30, STILL)])
    ghosts = [(32, 0, (120.0, 20.0, 150.0, 50.0), 0.4)]
    clip = annotated(world, detector=DrawnDetector(world, ghosts=ghosts))
    assert clip.table("entities").num_rows == 1
    assert reasons(clip).count("unconfirmed") == 1


def test_a_lone_box_is_unconfirmed_also_when_nothing_else_was_ever_detected() -> None:
    world = World([Thing("a ball", RED, 30, STILL)])
    ghosts = [(32, 0, (120.0, 20.0, 150.0, 50.0), 0.4)]
    detector = DrawnDetector(world, missed_share=1.0, ghosts=ghosts)
    assert reasons(annotated(world, detector=detector)) == ["unconfirmed"]


def test_a_faint_thing_seen_at_a_single_key_frame_is_believed() -> None:
    world = World(
        [Thing("a ball", RED, 30, only(STILL, 20, 50)), Thing("a box", BLUE, 20, STILL + 40)]
    )
    clip = annotated(world, detector=DrawnDetector(world, score=0.4))
    assert_annotated_wherever_seen(clip, world, 0, 1)


def test_limits_keep_the_best_scores_and_record_the_rest() -> None:
    things = [
        Thing("a ball", RED, 12, np.tile([10.0 + 16 * (i % 12), 20.0 + 20 * (i // 12)], (T, 1)))
        for i in range(24)
    ]
    world = World(things)
    clip = annotated(world)
    assert clip.table("entities").num_rows <= 20
    assert reasons(clip).count("over_phrase_limit") == 4 * 14
    clip = annotated(World([*things[:6], Thing("a box", BLUE, 12, STILL + 50)]), max_entities=3)
    kept = clip.table("entities")["score"].to_pylist()
    left_out = [
        row["score"]
        for row in clip.table("detections").to_pylist()
        if row["rejected"] == "over_entity_limit" and row["frame"] == 0
    ]
    assert len(kept) == 3
    assert min(kept) >= max(left_out)


@pytest.mark.parametrize(("other", "jump"), [(CYAN, 0), (CYAN, 1), (RED, 0), (RED, 1)])
def test_a_mask_that_jumps_onto_another_thing_gives_way_to_that_things_own(
    other: tuple[int, int, int], jump: int
) -> None:
    """Also between look-alikes: the one that jumped moved further."""
    world = World(
        [
            Thing("a ball", RED, 30, line(T, (30, 60), (170, 60))),
            Thing("a ball", other, 30, line(T, (170, 66), (30, 66))),
        ]
    )
    jumping = DrawnMasks(world, jumps=frozenset({(56, jump, 1 - jump)}))
    clip = annotated(world, masks=jumping)
    for thing in range(2):
        assert_annotated_wherever_seen(clip, world, thing, thing)


@pytest.mark.parametrize(
    ("other", "width"),
    [(CYAN, 30), (RED, 20)],
    ids=["of two colours", "look-alikes of two sizes"],
)
@pytest.mark.parametrize("turned", [False, True], ids=["", "in the other order"])
@pytest.mark.parametrize("renew", [False, True])
def test_things_whose_masks_are_exchanged_keep_their_numbers(
    other: tuple[int, int, int], width: int, renew: bool, turned: bool
) -> None:
    things = [
        Thing("a ball", RED, 30, line(T, (30, 60), (170, 60))),
        Thing("a ball", other, width, line(T, (170, 66), (30, 66))),
    ]
    world = World(things[::-1] if turned else things)
    exchanging = DrawnMasks(world, jumps=frozenset({(48, 0, 1), (48, 1, 0)}))
    clip = annotated(world, masks=exchanging, renew=renew)
    for thing in range(2):
        number = entity_of(clip, world, thing)[0]
        assert number is not None
        assert_annotated_wherever_seen(clip, world, thing, number)


def test_a_propagator_that_finds_a_thing_again_by_itself_is_believed() -> None:
    path = line(T, (60, 60), (60, 60))
    path[20:60] = np.nan
    world = World([Thing("a ball", RED, 30, path)])
    masks = DrawnMasks(world, stops_when_hidden=False)
    clip = annotated(world, masks=masks)
    assert_annotated_wherever_seen(clip, world, 0, 0)
    states = clip.table("masks")["state"].to_pylist()
    assert states == ["visible"] * 20 + ["absent"] * 40 + ["visible"] * 36


def test_the_order_of_the_detector_does_not_matter() -> None:
    things = [
        Thing("a ball", RED, 30, line(T, (30, 60), (170, 60))),
        Thing("a ball", RED, 30, line(T, (170, 66), (30, 66))),
        Thing("a box", BLUE, 24, only(line(T, (160, 90), (40, 90)), 10, 80), square=True),
    ]
    world = World(things)
    plain = annotated(world, detector=DrawnDetector(world))
    mixed = annotated(world, detector=DrawnDetector(world, shuffled=True))
    for name in ("entities", "masks", "detections", "phrases"):
        assert plain.table(name).equals(mixed.table(name))


def test_tables_are_in_source_pixels() -> None:
    things = [Thing("a ball", RED, 30, line(T, (30, 40), (150, 40)))]
    small, large = annotated(World(things)), annotated(World(things, scale=3))
    mask = visible_masks(large)[0, 7]
    assert np.array_equal(mask, np.kron(visible_masks(small)[0, 7], np.ones((3, 3), bool)))
    for name in ("x0", "y0", "x1", "y1"):
        for table in ("masks", "detections"):
            values = large.table(table)[name].to_numpy()
            assert np.array_equal(values, 3 * small.table(table)[name].to_numpy())


def test_a_clip_costs_at_most_two_passes_however_late_things_appear() -> None:
    T = 256
    things = [
        Thing("a ball", RED, 12, only(np.tile([10.0 + 20 * i, 60.0], (T, 1)), 30 * i + 3, T))
        for i in range(8)
    ]
    world = World(things)
    masks = DrawnMasks(world)
    annotated(world, masks=masks)
    assert masks.n_asked <= 2 * T * len(things)


@pytest.mark.parametrize("renew", [False, True])
def test_a_thing_in_sight_costs_each_frame_once_however_often_it_is_followed_afresh(
    renew: bool,
) -> None:
    world = World([Thing("a ball", RED, 20, only(STILL, 7, T))])
    masks = DrawnMasks(world)
    annotated(world, masks=masks, renew=renew)
    assert masks.n_asked == T - 1  # its own mask in the frame of its first box is the prompt's


def test_the_same_thing_asked_for_by_two_questions_counts_for_both() -> None:
    world = World([Thing("a ball", RED, 30, STILL)])
    clip = annotated(world, phrases=["a ball", "a box", "a ball"])
    assert clip.table("phrases")["n_entities"].to_pylist() == [1, 0, 1]
    assert clip.table("entities")["phrase"].to_pylist() == [0]


def test_a_box_around_several_tracked_things_begins_nothing() -> None:
    things = [Thing("a ball", RED, 20, np.add(STILL, [30 * i, 0])) for i in range(3)]
    world = World(things)
    ghosts = [(t, 0, (45.0, 45.0, 135.0, 75.0), 0.6) for t in (32, 64)]
    clip = annotated(world, detector=DrawnDetector(world, ghosts=ghosts))
    assert clip.table("entities").num_rows == 3
    assert reasons(clip).count("duplicate") == 2


def test_a_box_around_a_part_of_a_thing_confirms_it() -> None:
    world = World([Thing("a ball", RED, 40, STILL)])

    class PartMasks(DrawnMasks):
        """A box around the left half gives the left half."""

        def session(self, frames: Frames) -> DrawnSession:
            return PartSession(self)

    class PartSession(DrawnSession):
        def add_box(self, object_id: int, *, frame: int, box_xyxy: NDArray[np.float64]) -> Mask:
            mask = super().add_box(object_id, frame=frame, box_xyxy=box_xyxy)
            mask[:, int(box_xyxy[2]) :] = False
            return mask

    halves = [(t, 0, (40.0, 40.0, 60.0, 80.0), 0.4) for t in (32, 64, 95)]
    later = frozenset((t, 0) for t in (32, 64, 95))
    detector = DrawnDetector(world, missed=later, ghosts=halves)
    clip = annotated(world, detector=detector, masks=PartMasks(world))
    assert clip.table("detections")["entity"].to_pylist() == [0] * 4
    assert_annotated_wherever_seen(clip, world, 0, 0)


def test_a_detector_that_answers_everywhere_meets_the_limits() -> None:
    world = World([Thing("a ball", RED, 30, STILL)])
    rng = np.random.default_rng(0)
    ghosts = []
    for t in (0, 32, 64, 95):
        for phrase in range(3):
            for _ in range(40):
                x, y = rng.uniform(0, [180, 100])
                w, h = rng.uniform(4, 80, 2)
                ghosts.append((t, phrase, (x, y, x + w, y + h), float(rng.random())))
    detector = DrawnDetector(world, ghosts=ghosts)
    clip = annotated(world, phrases=["a ball", "b", "c"], detector=detector)
    assert clip.table("entities").num_rows == 20
    table = clip.table("detections").to_pylist()
    assert len(table) == 4 * 121
    assert all((row["entity"] is None) == (row["rejected"] is not None) for row in table)
    kept = [(r["frame"], r["phrase"]) for r in table if r["rejected"] != "over_phrase_limit"]
    assert max(kept.count(key) for key in set(kept)) == 10


class Endless:
    """A square that crosses an empty picture; nothing is held but what is asked for."""

    def session(self, frames: Frames) -> Endless:
        return self

    def add_box(self, object_id: int, *, frame: int, box_xyxy: NDArray[np.float64]) -> Mask:
        return self._mask(frame)

    def add_mask(self, object_id: int, *, frame: int, mask: Mask) -> None: ...

    def remove(self, object_id: int) -> None: ...

    def propagate(
        self, *, first: int, end: int, objects: Sequence[int] | None = None
    ) -> Iterator[FrameMasks]:
        for frame in range(first, end, 1 if end >= first else -1):
            asked = np.array(objects, np.int32)
            masks = np.repeat(self._mask(frame)[None], len(asked), axis=0)
            yield FrameMasks(frame, asked, masks, np.ones(len(asked), np.float32))

    def _mask(self, frame: int) -> Mask:
        mask = np.zeros((360, 640), np.bool_)
        mask[100:200, frame % 500 : frame % 500 + 100] = True
        return mask


def peak_bytes(n_frames: int) -> int:
    frames = Frames(
        pixels_THWC=np.broadcast_to(np.uint8(90), (n_frames, 360, 640, 3)),
        video_id="0" * 32,
        source_id="endless",
        pts=np.arange(n_frames),
        t_s=np.arange(n_frames) / 10,
        time_base=Fraction(1, 10),
        source_width=640,
        source_height=360,
    )
    clip = clip_of(frames, ["a box"])
    clip = clip.with_table("phrases", tables.spec("phrases").from_rows([PHRASE]))
    clip = clip.with_table("detections", tables.spec("detections").from_rows([DETECTION]))
    tracemalloc.start()
    PropagateMasks(propagator=Endless()).process(clip)  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


PHRASE = {"clip_id": "c" * 32, "phrase": 0, "text": "a box", "origin": "prompt", "n_entities": 0}
DETECTION = {
    "clip_id": "c" * 32,
    "detection": 0,
    "frame": 0,
    "phrase": 0,
    "x0": 0.0,
    "y0": 100.0,
    "x1": 100.0,
    "y1": 200.0,
    "score": 0.9,
}


def test_memory_hardly_grows_with_the_clips_length() -> None:
    """A mask of 640x360 is 230 kB; what is kept of it, its run lengths, is less than 4 kB."""
    short, *long = (peak_bytes(n_frames) for n_frames in (50, 200, 200))
    assert min(long) - short < 150 * 4_000  # once, a thread of other tests allocated meanwhile


@dataclasses.dataclass
class ForgetfulMasks(DrawnMasks):
    """Exact in the prompt's frame; later the mask stays where it was."""

    def session(self, frames: Frames) -> DrawnSession:
        return ForgetfulSession(self)


class ForgetfulSession(DrawnSession):
    def _mask(self, object_id: int, frame: int) -> Mask:
        return super()._mask(object_id, self.objects[object_id][1])


@pytest.mark.parametrize("renew", [False, True])
def test_a_thing_detected_again_is_followed_afresh_where_that_is_wanted(
    renew: bool,
) -> None:
    """It moves halfway between two key frames: there the masks of both boxes part."""
    path = line(T, (60, 60), (60, 60))
    path[16:] = (72, 60)
    world = World([Thing("a ball", RED, 30, path)])
    clip = annotated(world, masks=ForgetfulMasks(world), renew=renew)
    assert clip.table("entities").num_rows == 1
    later = 0 if renew else None
    assert entity_of(clip, world, 0) == [0] * 16 + [later] * (T - 16)


@dataclasses.dataclass
class StrayMasks(DrawnMasks):
    """Exact up to 20 frames from the prompt; farther away half of the mask is beside the thing."""

    def session(self, frames: Frames) -> DrawnSession:
        return StraySession(self)


class StraySession(DrawnSession):
    def _mask(self, object_id: int, frame: int) -> Mask:
        mask = super()._mask(object_id, frame)
        is_near = abs(frame - self.objects[object_id][1]) <= 20
        return mask if is_near else np.roll(mask, 10, axis=1)


def detected(world: World, *, number: int | None) -> Clip:
    """The world's clip with boxes every 32 frames; `number`: a person gave them, of one thing."""
    clip = DetectPhrases(DrawnDetector(world), key_every=32).process(world.clip())
    given = {} if number is None else {"origin": "given", "track": number}
    rows = [{**row, **given} for row in clip.table("detections").to_pylist()]
    return clip.with_table("detections", tables.spec("detections").from_rows(rows))


def test_a_box_in_which_nothing_is_seen_ends_no_way_back() -> None:
    """At frame 20 the propagator sees nothing in its box, so its mask there is the astray one."""
    world = World([Thing("a ball", RED, 30, line(T, (60, 60), (90, 60)))])
    clip = detected(world, number=7)
    rows = clip.table("detections").to_pylist()[:2]
    unseen = {**rows[0], "frame": 20, "x0": 150.0, "y0": 5.0, "x1": 150.2, "y1": 5.2}
    rows = [{**row, "detection": n} for n, row in enumerate([rows[0], unseen, rows[1]])]
    clip = clip.with_table("detections", tables.spec("detections").from_rows(rows))
    exact, found = (
        {row["frame"]: row["counts"] for row in PropagateMasks(propagator=masks)
         .process(clip).table("masks").to_pylist()}
        for masks in (DrawnMasks(world), StrayMasks(world))
    )  # fmt: skip
    assert [frame for frame in range(33) if found[frame] != exact[frame]] == []


@pytest.mark.parametrize("number", [None, 7], ids=["found", "given"])
def test_masks_that_went_astray_are_corrected_from_the_next_box(number: int | None) -> None:
    world = World([Thing("a ball", RED, 30, line(T, (60, 60), (90, 60)))])
    exact, found = (
        {row["frame"]: row["counts"]
         for row in PropagateMasks(propagator=masks, renew=True)
         .process(detected(world, number=number)).table("masks").to_pylist()}
        for masks in (DrawnMasks(world), StrayMasks(world))
    )  # fmt: skip
    assert [frame for frame in range(33) if found[frame] != exact[frame]] == []


@pytest.mark.parametrize(("every", "n_asked"), [(1, 0), (8, T - 1)])
def test_a_person_s_box_costs_one_mask_where_nothing_went_astray(every: int, n_asked: int) -> None:
    """None where every frame has a box; with a box in eight frames, one in each after the first."""
    world = World([Thing("a ball", RED, 30, line(T, (60, 60), (90, 60)))])
    clip = detected(world, number=7)
    (first, *_) = clip.table("detections").to_pylist()
    corners = ("x0", "y0", "x1", "y1")
    rows = [
        {**first, "detection": n, "frame": t, **dict(zip(corners, world.box(t, 0), strict=True))}
        for n, t in enumerate(range(0, T, every))
    ]
    clip = clip.with_table("detections", tables.spec("detections").from_rows(rows))
    masks = DrawnMasks(world)
    PropagateMasks(propagator=masks).process(clip)
    assert masks.n_asked == n_asked
