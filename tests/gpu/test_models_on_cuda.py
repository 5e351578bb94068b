"""The adapters on CUDA: the CPU's answers in float32, close ones in bfloat16, no growing memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from massannot.models.depth_anything import DepthAnything  # noqa: E402
from massannot.models.grounding_dino import GroundingDino  # noqa: E402
from massannot.models.networks import frames_on  # noqa: E402
from massannot.models.preprocess import resized  # noqa: E402
from massannot.models.protocols import FrameMasks  # noqa: E402
from massannot.models.sam2.propagator import Sam2Video  # noqa: E402
from massannot.models.weights import Weights  # noqa: E402
from tests.tiny_models import frames_of, noise_frames, tiny_depth, tiny_detector, tiny_sam2  # noqa: E402

pytestmark = pytest.mark.gpu

PHRASES = ["a red ball", "box"]
BOXES = {1: (20, 20, 60, 70), 2: (70, 10, 130, 80)}


def on(device: str, adapter: Any) -> Any:
    adapter.setup(device=device)
    return adapter


@pytest.mark.parametrize("how", ["bilinear", "bicubic"])
def test_pictures_are_resized_as_on_the_cpu(how: Any) -> None:
    frames = noise_frames(2, 333, 217)
    here, there = (
        resized(frames_on(frames, d), height=120, width=96, interpolation=how).cpu()
        for d in ("cpu", "cuda:0")
    )
    assert (here - there).abs().max() <= 1
    assert (here != there).float().mean() < 1e-3


@pytest.mark.seen("depth", "GPU")
def test_depth_is_the_cpus(tmp_path: Path) -> None:
    weights, frames = Weights(str(tiny_depth(tmp_path))), noise_frames(5, 120, 160)
    here = on("cpu", DepthAnything(weights)).estimate_depth(frames).values
    there = on("cuda:0", DepthAnything(weights, dtype="float32")).estimate_depth(frames).values
    np.testing.assert_allclose(here, there, atol=1e-2)
    close = on("cuda:0", DepthAnything(weights)).estimate_depth(frames).values
    assert np.abs(close / here - 1).mean() < 0.02
    assert len(np.unique(close)) > close.size / 4  # the head does not count in bfloat16 steps


@pytest.mark.seen("boxes from phrases", "GPU")
def test_boxes_are_the_cpus(tmp_path: Path) -> None:
    weights, frames = Weights(str(tiny_detector(tmp_path))), noise_frames(5, 90, 140)
    options: Any = {"box_threshold": 0.0, "text_threshold": 0.0, "top_k": 20}
    here, there = (
        on(d, GroundingDino(weights, **options)).detect(frames, at=range(5), phrases=PHRASES)
        for d in ("cpu", "cuda:0")
    )
    np.testing.assert_array_equal(here.phrase, there.phrase)
    np.testing.assert_allclose(here.score, there.score, atol=2e-3)


def propagated(device: str, folder: Path, **options: Any) -> list[FrameMasks]:
    session = on(device, Sam2Video(Weights(str(folder)), **options)).session(
        noise_frames(8, 90, 140)
    )
    for object_id, box in BOXES.items():
        session.add_box(object_id, frame=0, box_xyxy=np.array(box, np.float32))
    return list(session.propagate(first=0, end=8))


@pytest.mark.seen("masks through time", "GPU")
def test_masks_are_the_cpus(tmp_path: Path) -> None:
    folder = tiny_sam2(tmp_path)
    here, there = propagated("cpu", folder), propagated("cuda:0", folder, dtype="float32")
    for a, b in zip(here, there):
        assert (a.masks != b.masks).mean() < 5e-3
        np.testing.assert_allclose(a.score, b.score, atol=5e-3)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_masks_survive_half_precision(tmp_path: Path, dtype: str) -> None:
    folder = tiny_sam2(tmp_path)
    exact, half = (propagated("cuda:0", folder, dtype=d) for d in ("float32", dtype))
    assert (exact[0].masks != half[0].masks).mean() < 0.05
    assert all(np.isfinite(m.score).all() for m in half)


def test_memory_does_not_grow_with_the_clip(tmp_path: Path) -> None:
    pixels = np.resize(noise_frames(7, 45, 70).pixels_THWC, (400, 45, 70, 3))
    masks = on("cuda:0", Sam2Video(Weights(str(tiny_sam2(tmp_path)))))
    session = masks.session(frames_of(pixels))
    for object_id, box in BOXES.items():
        session.add_box(object_id, frame=0, box_xyxy=np.array(box, np.float32) / 2)
    used = [torch.cuda.memory_allocated() for _ in session.propagate(first=0, end=400)]
    assert max(used[200:]) <= max(used[50:200])


def test_following_waits_for_the_device_only_to_read_the_masks(tmp_path: Path) -> None:
    masks = on("cuda:0", Sam2Video(Weights(str(tiny_sam2(tmp_path)))))
    session = masks.session(noise_frames(12, 90, 140))
    for object_id, box in BOXES.items():
        session.add_box(object_id, frame=0, box_xyxy=np.array(box, np.float32))
    list(session.propagate(first=0, end=9))  # constants are on the device by now
    memories = list(session._objects.values())
    torch.cuda.set_sync_debug_mode("error")
    try:
        with session._inference():
            for frame in (9, 10, 11):
                session._track(frame, memories, False)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_compiled_network_answers_alike(tmp_path: Path) -> None:
    weights, frames = Weights(str(tiny_depth(tmp_path))), noise_frames(4, 120, 160)
    plain, compiled = (
        on("cuda:0", DepthAnything(weights, dtype="float32", compile=c)).estimate_depth(frames)
        for c in (False, True)
    )
    np.testing.assert_allclose(plain.values, compiled.values, atol=1e-2)
