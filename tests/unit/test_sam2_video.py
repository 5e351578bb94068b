"""SAM 2 through time: transformers' own session number for number, with bounded memory."""

from __future__ import annotations

import dataclasses
import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from massannot.errors import UsageError
from massannot.models.protocols import FrameMasks, MaskPropagator, MaskSession
from massannot.models.sam2.features import box_logits
from massannot.models.sam2.propagator import Sam2Video
from massannot.models.sam2.session import Sam2Session
from massannot.models.weights import Weights
from tests.tiny_models import frames_of, noise_frames, tiny_sam2
from tests.unit.library_session import LibrarySession, assert_same

SIDE = 128
HEIGHT, WIDTH = 90, 140
BOXES = {1: (20, 20, 60, 70), 2: (70, 10, 130, 80), 7: (5, 50, 40, 85)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_sam2(tmp_path_factory.mktemp("masks"), side=SIDE)


def model(folder: Path, **options: Any) -> Sam2Video:
    masks = Sam2Video(Weights(str(folder)), **options)
    masks.setup(device="cpu")
    return masks


def box(object_id: int) -> np.ndarray:
    return np.array(BOXES[object_id], np.float32)


@pytest.mark.parametrize(
    ("prompt", "first", "end"),
    [(0, 0, 9), (8, 8, -1), (4, 4, 9), (0, 3, 9), (4, 1, 4), (4, 7, 4)],
    ids=[
        "forwards",
        "backwards",
        "from the middle",
        "starting after the prompt",
        "forwards before the prompt",
        "backwards after the prompt",
    ],
)
def test_boxes_are_followed_as_transformers_follows_them(
    folder: Path, prompt: int, first: int, end: int
) -> None:
    frames = noise_frames(9, SIDE, SIDE)  # no resize: a grey level may tip which mask is best
    mine, theirs = model(folder).session(frames), LibrarySession(folder, frames)
    for object_id in BOXES:
        mine.add_box(object_id, frame=prompt, box_xyxy=box(object_id))
    for object_id in BOXES:  # one object a session: theirs cannot prompt a second one on its own
        theirs.add_box(object_id, prompt, box(object_id))
        theirs.session.frames_tracked_per_obj[theirs.session.obj_id_to_idx(object_id)] = {}
    assert_same(list(mine.propagate(first=first, end=end)), theirs.propagate(first, end))


@pytest.mark.seen("masks through time", "random weights")
@pytest.mark.parametrize("most_points", [0, 1], ids=["one mask", "the best of three"])
def test_points_are_followed_as_transformers_follows_them(tmp_path: Path, most_points: int) -> None:
    folder = tiny_sam2(tmp_path, side=SIDE, multimask_max_pt_num=most_points)
    frames = noise_frames(5, SIDE, SIDE)
    mine, theirs = model(folder).session(frames), LibrarySession(folder, frames)
    for object_id, at in {1: (40, 50), 2: (90.5, 70.25)}.items():
        asked = np.array([*at, *at], np.float32)
        seen = mine.add_box(object_id, frame=1, box_xyxy=asked)
        theirs.add_point(object_id, 1, asked[:2])
        theirs.session.frames_tracked_per_obj[theirs.session.obj_id_to_idx(object_id)] = {}
        (first,) = mine.propagate(first=1, end=2, objects=[object_id])
        np.testing.assert_array_equal(first.masks[0], seen)
    assert_same(list(mine.propagate(first=1, end=5)), theirs.propagate(1, 5))


def test_a_network_that_learnt_from_boxes_alone_refuses_a_point(folder: Path) -> None:
    session = model(folder, box_as_mask=True).session(noise_frames(1, HEIGHT, WIDTH))
    with pytest.raises(UsageError, match="expected --box, or a profile"):
        session.add_box(1, frame=0, box_xyxy=np.array([9, 9, 9, 9], np.float32))


def test_pictures_of_another_shape_are_read_as_transformers_reads_them(folder: Path) -> None:
    frames = noise_frames(2, HEIGHT, WIDTH)
    mine, theirs = model(folder).session(frames), LibrarySession(folder, frames)
    for object_id in BOXES:
        mine.add_box(object_id, frame=0, box_xyxy=box(object_id))
        theirs.add_box(object_id, 0, box(object_id))
    assert_same(list(mine.propagate(first=0, end=1)), theirs.propagate(0, 1))


@pytest.mark.parametrize("at_most", [-1, 1, 2], ids=["all prompts", "one", "two"])
def test_several_prompts_of_an_object_are_remembered_as_configured(
    tmp_path: Path, at_most: int
) -> None:
    folder = tiny_sam2(tmp_path, side=SIDE, max_cond_frame_num=at_most)
    frames = noise_frames(9, SIDE, SIDE)
    mine, theirs = model(folder).session(frames), LibrarySession(folder, frames)
    for frame in (0, 4, 7):
        mine.add_box(1, frame=frame, box_xyxy=box(1))
        theirs.add_box(1, frame, box(1))
    assert_same(list(mine.propagate(first=0, end=9)), theirs.propagate(0, 9))


def test_a_mask_is_followed_as_transformers_follows_it(folder: Path) -> None:
    frames = noise_frames(6, HEIGHT, WIDTH)
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[20:70, 30:90] = True
    mine, theirs = model(folder).session(frames), LibrarySession(folder, frames)
    mine.add_mask(3, frame=0, mask=mask)
    theirs.add_mask(3, 0, mask)
    found = list(mine.propagate(first=0, end=6))
    np.testing.assert_array_equal(found[0].masks[0], mask)
    assert_same(found[1:], theirs.propagate(1, 6))


def test_one_grey_level_is_all_that_the_comparison_forgives(folder: Path) -> None:
    frames = noise_frames(4, HEIGHT, WIDTH)
    swapped = frames_of(np.ascontiguousarray(frames.pixels_THWC[..., ::-1]))
    right, wrong = (run(model(folder).session(f), [1]) for f in (frames, swapped))
    assert max(np.abs(a.score - b.score).max() for a, b in zip(right, wrong)) > 4e-3


def run(session: Sam2Session, objects: list[int], *, end: int = 4) -> list[FrameMasks]:
    for object_id in objects:
        session.add_box(object_id, frame=0, box_xyxy=box(object_id))
    return list(session.propagate(first=0, end=end))


@pytest.mark.parametrize(
    "options",
    [{"object_batch": 1}, {"encode_batch": 3}, {"encode_batch": 4, "object_batch": 2}],
    ids=["one object a pass", "frames in threes", "both"],
)
def test_batches_of_any_size_say_the_same(folder: Path, options: dict[str, int]) -> None:
    frames = noise_frames(8, HEIGHT, WIDTH)
    plain = run(model(folder).session(frames), list(BOXES), end=8)
    other = run(model(folder, **options).session(frames), list(BOXES), end=8)
    for a, b in zip(plain, other):
        assert (a.masks != b.masks).mean() < 1e-3
        np.testing.assert_allclose(a.score, b.score, atol=1e-4)


def test_bfloat16_on_a_processor_narrows_the_heavy_products_alone(folder: Path) -> None:
    frames = noise_frames(6, HEIGHT, WIDTH)
    exact = run(model(folder).session(frames), list(BOXES), end=6)
    narrow = run(model(folder, dtype="bf16").session(frames), list(BOXES), end=6)
    apart = [np.abs(a.score - b.score).max() for a, b in zip(exact, narrow)]
    assert 0 < max(apart) < 0.05
    assert np.mean([(a.masks != b.masks).mean() for a, b in zip(exact, narrow)]) < 0.02


def test_an_object_added_later_changes_nothing_for_the_others(folder: Path) -> None:
    frames = noise_frames(10, HEIGHT, WIDTH)
    alone = run(model(folder).session(frames), [1], end=10)
    session = model(folder).session(frames)
    run(session, [1], end=5)
    session.add_box(2, frame=5, box_xyxy=box(2))
    rest = list(session.propagate(first=5, end=10))
    for a, b in zip(alone[5:], rest):
        assert b.objects.tolist() == [1, 2]
        assert (a.masks[0] != b.masks[0]).mean() < 1e-3
        np.testing.assert_allclose(a.score[0], b.score[0], atol=1e-4)


def test_only_the_objects_asked_for_are_followed(folder: Path) -> None:
    frames = noise_frames(8, HEIGHT, WIDTH)
    session = model(folder).session(frames)
    for object_id in (1, 2, 7):
        session.add_box(object_id, frame=4, box_xyxy=box(object_id))
    back = list(session.propagate(first=4, end=-1, objects=[7, 1]))
    assert [b.frame for b in back] == [4, 3, 2, 1, 0]
    assert all(b.objects.tolist() == [7, 1] for b in back)
    alone = model(folder).session(frames)
    alone.add_box(7, frame=4, box_xyxy=box(7))
    for a, b in zip(alone.propagate(first=4, end=-1), back):
        assert (a.masks[0] != b.masks[0]).mean() < 1e-3


def test_a_removed_object_is_gone_and_the_others_stay(folder: Path) -> None:
    session = model(folder).session(noise_frames(6, HEIGHT, WIDTH))
    run(session, [1, 2], end=3)
    session.remove(1)
    assert [m.objects.tolist() for m in session.propagate(first=3, end=6)] == [[2]] * 3
    with pytest.raises(ValueError, match=r"objects \[1\]: never added; known: \[2\]"):
        list(session.propagate(first=3, end=4, objects=[1]))


def test_a_prompt_between_two_frames_is_heeded_from_the_next_one_on(folder: Path) -> None:
    session = model(folder).session(noise_frames(6, HEIGHT, WIDTH))
    session.add_box(1, frame=0, box_xyxy=box(1))
    seen = []
    for masks in session.propagate(first=0, end=6):
        seen.append(masks.objects.tolist())
        if masks.frame == 2:
            session.add_box(2, frame=2, box_xyxy=box(2))
    assert seen == [[1]] * 3 + [[1, 2]] * 3


def test_memory_does_not_grow_with_the_clip(folder: Path) -> None:
    held = held_bytes(model(folder, kept_mib=1), n_frames=120, at=(0, 40, 119))
    assert held[119] == held[40]
    assert held[40] > held[0]


@pytest.mark.slow
def test_two_thousand_frames_take_the_memory_of_forty(folder: Path) -> None:
    import resource

    held = held_bytes(model(folder, kept_mib=1), n_frames=300, at=(40,))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    long = held_bytes(model(folder, kept_mib=1), n_frames=2000, at=(1999,))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert long[1999] == held[40]
    assert (after - before) * 1024 < 40e6 + 2000 * 45 * 70 * 3  # the pictures, and little else


def held_bytes(masks: Sam2Video, *, n_frames: int, at: tuple[int, ...]) -> dict[int, int]:
    """Bytes of all tensors that exist in this process after each of the frames `at`."""
    pixels = np.resize(noise_frames(7, 45, 70).pixels_THWC, (n_frames, 45, 70, 3))
    session = masks.session(frames_of(pixels))
    for object_id in BOXES:
        session.add_box(object_id, frame=0, box_xyxy=box(object_id) / 2)
    frames = (masks.frame for masks in session.propagate(first=0, end=n_frames))
    return {frame: tensor_bytes() for frame in frames if frame in at}


def tensor_bytes() -> int:
    gc.collect()
    tensors = [o for o in gc.get_objects() if issubclass(type(o), torch.Tensor)]
    return sum(t.numel() * t.element_size() for t in tensors)


class Encoder(torch.nn.Module):
    """The image encoder, counting the frames it is shown."""

    def __init__(self, inner: torch.nn.Module):
        super().__init__()
        self.inner, self.frames, self.position = inner, 0, inner.position

    def forward(self, values: torch.Tensor, *, narrow: torch.dtype | None) -> Any:
        self.frames += len(values)
        return self.inner(values, narrow=narrow)


@pytest.mark.parametrize("encode_batch", [1, 4])
def test_frames_are_read_when_needed_and_only_once(folder: Path, encode_batch: int) -> None:
    masks = model(folder, encode_batch=encode_batch)
    encoder = Encoder(masks._loaded.encoder)
    masks._loaded = dataclasses.replace(masks._loaded, encoder=encoder)
    session = masks.session(noise_frames(30, HEIGHT, WIDTH))
    assert encoder.frames == 0
    for object_id in BOXES:
        session.add_box(object_id, frame=0, box_xyxy=box(object_id))
    assert encoder.frames == encode_batch
    list(session.propagate(first=0, end=8))
    assert encoder.frames == 8


def test_a_box_prompt_is_corner_origin(folder: Path) -> None:
    """The place that the network is told is the box's corner, edge to edge: what its encoder adds
    for pixel centres is taken off before."""
    masks = model(folder)
    told: list[torch.Tensor] = []
    embedding = masks._loaded.net.prompt_encoder.shared_embedding
    embedding.register_forward_pre_hook(lambda _, args: told.append(args[0].clone()))
    masks.session(noise_frames(1, HEIGHT, WIDTH)).add_box(
        1, frame=0, box_xyxy=np.array([0, 9, 140, 81], np.float32)
    )
    corners = told[-1][0, 0, :2] / SIDE * torch.tensor([WIDTH, HEIGHT])
    np.testing.assert_allclose(corners, [[0, 9], [140, 81]], atol=1e-4)


@pytest.mark.parametrize(
    ("box_xyxy", "columns", "rows"),
    [
        ((0, 0, 140, 90), range(32), range(32)),
        ((35, 45, 70, 90), range(8, 16), range(16, 32)),
        ((4.375 * 2.4, 0, 4.375 * 2.6, 2.8125), range(2, 3), range(1)),
        ((4.375 * 2.6, 0, 4.375 * 3.4, 2.8125), range(0), range(1)),
    ],
    ids=["whole picture", "a quarter", "holds a pixel's centre", "holds none"],
)
def test_a_dense_box_covers_the_pixels_whose_centres_it_holds(
    box_xyxy: tuple[float, ...], columns: range, rows: range
) -> None:
    asked = np.array(box_xyxy, np.float32)
    dense = box_logits(asked, width=WIDTH, height=HEIGHT, grid=(32, 32))[0, 0]
    wanted = np.full((32, 32), -4.0, np.float32)
    wanted[np.ix_(list(rows), list(columns))] = 4
    np.testing.assert_array_equal(dense, wanted)


def test_a_dense_box_changes_the_answer(folder: Path) -> None:
    frames = noise_frames(1, HEIGHT, WIDTH)
    plain, dense = (
        model(folder, box_as_mask=b).session(frames).add_box(1, frame=0, box_xyxy=box(1))
        for b in (False, True)
    )
    assert plain.shape == dense.shape == (HEIGHT, WIDTH)
    assert (plain != dense).any()


def test_low_resolution_masks_land_where_they_are(folder: Path) -> None:
    """A disk known in corner coordinates keeps its centre to a twentieth of a pixel."""
    session = model(folder).session(noise_frames(1, HEIGHT, WIDTH))
    x, y = (np.arange(32) + 0.5) * WIDTH / 32, (np.arange(32) + 0.5) * HEIGHT / 32
    inside = 25 - np.hypot(x[None] - 61.3, y[:, None] - 40.7)
    mask = session._upsampled(torch.from_numpy(inside.astype(np.float32))[None, None])[0].numpy()
    rows, columns = np.nonzero(mask)
    assert columns.mean() + 0.5 == pytest.approx(61.3, abs=0.05)
    assert rows.mean() + 0.5 == pytest.approx(40.7, abs=0.05)
    assert mask.sum() == pytest.approx(np.pi * 25**2, rel=0.01)


def test_a_mask_thinner_than_the_networks_pixels_is_still_seen(folder: Path) -> None:
    frames = noise_frames(1, 900, 1400)
    mask = np.zeros((900, 1400), np.bool_)
    mask[450, 700] = True
    session = model(folder).session(frames)
    session.add_mask(1, frame=0, mask=mask)
    session.add_mask(2, frame=0, mask=np.zeros_like(mask))
    (masks,) = session.propagate(first=0, end=1)
    assert masks.score.round(3).tolist() == [1.0, 0.0]
    assert masks.masks.sum((1, 2)).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda s: s.add_box(1, frame=3, box_xyxy=box(1)), "frame 3: the clip has frames 0..2"),
        (lambda s: s.add_mask(1, frame=0, mask=np.zeros((4, 4), np.bool_)), r"found \(4, 4\)"),
        (lambda s: s.remove(9), r"objects \[9\]: never added"),
        (lambda s: list(s.propagate(first=2, end=5)), "frame 3"),
    ],
    ids=["no such frame", "mask of another size", "unknown object", "past the end"],
)
def test_what_cannot_be_asked_is_refused(folder: Path, call: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        call(model(folder).session(noise_frames(3, HEIGHT, WIDTH)))


def test_an_empty_session_yields_empty_frames(folder: Path) -> None:
    session = model(folder).session(noise_frames(2, HEIGHT, WIDTH))
    found = list(session.propagate(first=0, end=2))
    assert [f.masks.shape for f in found] == [(0, HEIGHT, WIDTH)] * 2


def test_one_frame_is_a_clip(folder: Path) -> None:
    assert len(run(model(folder).session(noise_frames(1, HEIGHT, WIDTH)), [1], end=1)) == 1


def test_a_second_prompt_of_an_object_is_remembered_beside_the_first(folder: Path) -> None:
    session = model(folder).session(noise_frames(6, HEIGHT, WIDTH))
    run(session, [1], end=4)
    again = session.add_box(1, frame=2, box_xyxy=box(2))
    (masks,) = session.propagate(first=2, end=3)
    np.testing.assert_array_equal(masks.masks[0], again)
    assert len(list(session.propagate(first=3, end=6))) == 3


def test_it_is_a_mask_propagator(folder: Path) -> None:
    masks = model(folder)
    assert isinstance(masks, MaskPropagator)
    assert isinstance(masks.session(noise_frames(1, HEIGHT, WIDTH)), MaskSession)
    assert masks.card().n_parameters > 100_000
