"""The trainer of the embedded models: seeds, prompts, assignment, resuming, and that what is
trained is what the adapters run."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from massannot.clip import Frames  # noqa: E402
from massannot.models.sam2.propagator import Sam2Video  # noqa: E402
from massannot.models.text_prompts import prompts_of  # noqa: E402
from massannot.models.weights import Weights  # noqa: E402
from massannot.scenes.world import SceneOptions, make_scene  # noqa: E402
from tests.random_weights import sam2_processor, write_network  # noqa: E402
from tools.embedded import detection, segmentation  # noqa: E402
from tools.embedded.pool import Pool, boxes_and_areas  # noqa: E402
from tools.embedded.render_data import restyled, seeds_of_worker, stills  # noqa: E402
from tools.embedded.training import Schedule, train  # noqa: E402


def test_a_renderer_that_reaches_a_held_out_seed_refuses() -> None:
    first_held_out = -100_000  # training seeds begin that much later
    with pytest.raises(ValueError, match="held-out"):
        next(seeds_of_worker(0, first_held_out))


def test_two_workers_draw_no_seed_twice() -> None:
    drawn = [next(s) for w in range(4) for s in [seeds_of_worker(w, 0)] for _ in range(50)]
    assert len(set(drawn)) == len(drawn)


def test_a_restyled_scene_keeps_its_motion_and_names_no_two_bodies_alike() -> None:
    scene = make_scene(1_000_003, SceneOptions(n_frames=3))
    other = restyled(scene, 1_000_004)
    assert np.array_equal(other.motion.position, scene.motion.position)
    assert not np.array_equal(other.cam_from_room(0), scene.cam_from_room(0))
    assert len(set(other.phrases())) == len(other.entities)


def test_boxes_are_half_open_around_what_is_seen() -> None:
    ids = np.zeros((8, 10), np.uint8)
    ids[2:5, 3:7] = 2
    boxes, areas = boxes_and_areas(ids)
    assert boxes[1].tolist() == [3, 2, 7, 5]
    assert areas.tolist() == [0, 12, 0, 0, 0, 0]


@pytest.mark.parametrize("seed", range(5))
def test_a_phrase_is_true_of_exactly_the_bodies_it_names(seed: int) -> None:
    names = np.array([[0, 0], [0, 1], [3, 1]])
    boxes = np.array([[0, 0, 9, 9], [10, 0, 19, 9], [20, 0, 29, 9]], np.float32)
    asked = detection.ask(names, boxes, np.random.default_rng(seed), n_phrases=6)
    for box, true in zip(asked.boxes_xyxy, asked.phrases):
        colour, shape = names[int(np.flatnonzero((boxes == box).all(1))[0])]
        words = {detection.COLOUR_NAMES[colour], detection.SHAPE_NAMES[shape]}
        said = [set(text.split()) - set(detection.ARTICLES) for text in asked.texts]
        assert true.tolist() == [s <= words for s in said]


def test_prompts_are_spelt_in_training_as_the_adapter_spells_them(tmp_path: Path) -> None:
    detection.write_tokenizer(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path, local_files_only=True)
    names, boxes = np.array([[5, 3], [1, 0]]), np.zeros((2, 4), np.float32)
    for seed in range(8):
        asked = detection.ask(names, boxes, np.random.default_rng(seed), n_phrases=5)
        (prompt,) = prompts_of(
            asked.texts,
            lambda text: tokenizer(text, add_special_tokens=False)["input_ids"],
            limit=detection.TEXT_LIMIT,
        )
        assert list(prompt.ids) == asked.ids
        assert list(prompt.spans) == asked.spans


def test_tokens_in_the_middle_of_a_body_answer_for_it() -> None:
    boxes = torch.tensor([[0.25, 0.5, 0.2, 0.25], [0.75, 0.5, 0.3, 0.4]])
    query, body = detection._central_tokens(boxes, torch.device("cpu"))
    centres = detection._CENTRES[query]
    assert set(body.tolist()) == {0, 1}
    inside = ((centres - boxes[body, :2]).abs() <= boxes[body, 2:] * 0.3 + 1e-6).all(1)
    assert inside.all()


def test_both_heads_of_the_detector_learn_and_none_of_its_weights_is_left_out() -> None:
    torch.manual_seed(0)
    net = detection.network()
    names, boxes = np.array([[0, 0], [1, 2]]), np.array([[9, 9, 40, 40], [60, 50, 120, 110.0]])
    asked = [
        detection.ask(names, boxes.astype(np.float32), np.random.default_rng(i), n_phrases=4)
        for i in range(3)
    ]
    ids, mask = detection._padded(asked)
    values = torch.randn(3, 3, detection.H, detection.W)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
    for _ in range(2):  # some layers start at zero and hold back the gradient once
        optimizer.zero_grad()
        total, _ = detection.loss(net, values, ids, mask, asked)
        total.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
    still = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum()]
    assert still == []


def test_the_memory_that_is_trained_is_the_memory_that_the_session_reads(tmp_path: Path) -> None:
    torch.manual_seed(1)
    net = segmentation.network().eval()
    write_network(net, tmp_path, processor=sam2_processor(segmentation.SIDE))
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (4, segmentation.H, segmentation.W, 3)).astype(np.uint8)
    box = np.array([30, 20, 80, 70], np.float32)
    drawn = segmentation.Drawn(
        segmentation._values(torch.from_numpy(pixels)),
        torch.zeros(1, 4, segmentation.H, segmentation.W, dtype=torch.bool),
        torch.from_numpy(box)[None],
        torch.zeros(1, dtype=torch.long),
        False,
    )
    with torch.no_grad():
        trained = torch.stack([a.score[0] for a in segmentation.roll_out(net, drawn)])
    propagator = Sam2Video(Weights(str(tmp_path)), box_as_mask=True)
    propagator.setup(device="cpu")
    frames = Frames(
        pixels, "v", "v", np.arange(4), np.arange(4) / 10, Fraction(1, 10),
        segmentation.W, segmentation.H,
    )  # fmt: skip
    session = propagator.session(frames)
    session.add_box(0, frame=0, box_xyxy=box)
    used = np.array([f.score[0] for f in session.propagate(first=0, end=4)])
    # The session keeps memories in bfloat16.
    assert np.abs(trained.sigmoid().numpy() - used).max() < 0.02
    assert np.ptp(used) > 1e-4


def test_an_aligned_memory_finds_its_object_again_before_it_has_learned() -> None:
    """Random memory gives all objects of a picture the same mask."""
    folder = Path(__file__).parents[2] / "massannot" / "weights" / "embedded" / "sam2_video"
    net = transformers.Sam2VideoModel.from_pretrained(folder, dtype=torch.float32).eval()
    torch.manual_seed(0)
    pool = Pool(Path(), depth=False)
    for first in (0, 8, 16):
        pool.add(stills(iter(range(1_000_100 + first, 1_000_108 + first)), 8))
    segmentation.start_again(net, pool)
    drawn = segmentation._draw(pool, np.random.default_rng(1), 12, frames=1, as_mask=False)
    shifted = torch.roll(drawn.values.repeat_interleave(2, 0), 9, dims=-1)
    shifted[::2] = drawn.values  # a second frame, in which all has moved to the right
    masks = torch.stack([drawn.masks[:, 0], drawn.masks[:, 0].roll(7, dims=-1)], dim=1)
    moved = replace(drawn, values=shifted, masks=masks)
    with torch.no_grad():
        low = segmentation.roll_out(net, moved)[1].mask_low
    size = (segmentation.H, segmentation.W)
    found = torch.nn.functional.interpolate(low[:, None], size, mode="bilinear")[:, 0] > 0
    right = []
    for n, clip in enumerate(drawn.clip):
        others = masks[drawn.clip == clip, 1]
        shared = (others & found[n]).sum((1, 2)) / (others | found[n]).sum((1, 2))
        own = (masks[n, 1] & found[n]).sum() / (masks[n, 1] | found[n]).sum()
        right.append(bool(own > 0) and bool(own >= shared.max()))
    assert len(right) > 20
    assert np.mean(right) > 0.8


def test_a_stopped_run_continues_as_if_it_had_not_been_stopped(tmp_path: Path) -> None:
    def run(folder: Path, *stops: int) -> torch.Tensor:
        for steps in stops:
            torch.manual_seed(0)
            net = torch.nn.Linear(3, 1)

            def loss_of(step: int) -> tuple[torch.Tensor, dict[str, float]]:
                x = torch.randn(8, 3, generator=torch.Generator().manual_seed(step))
                return (net(x) - x.sum(1, keepdim=True)).square().mean(), {}  # noqa: B023

            schedule = Schedule(steps=steps, cooldown=0, lr=0.05, warmup=2, validate_every=100)
            train(net, loss_of, dict, schedule=schedule, run=folder)
        return net.weight.detach()

    assert torch.equal(run(tmp_path / "a", 9), run(tmp_path / "b", 4, 9))
