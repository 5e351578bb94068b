"""Pictures become tensors as transformers' own PIL processors make them, to one grey level."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers.image_transforms import get_size_with_aspect_ratio

from massannot.errors import MissingWeights
from massannot.models.networks import frames_on
from massannot.models.preprocess import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Interpolation,
    Normalization,
    processor_config,
    resized,
    size_of_multiples,
    size_with_shortest_edge,
)
from tests.tiny_models import noise_frames

try:
    from transformers import DPTImageProcessorPil, GroundingDinoImageProcessorPil
except ImportError:  # transformers before the backends were split
    from transformers import DPTImageProcessor as DPTImageProcessorPil
    from transformers import GroundingDinoImageProcessor as GroundingDinoImageProcessorPil

ONE_LEVEL = 1.001 / 255 / min(IMAGENET_STD)


def assert_agree(found: np.ndarray, wanted: np.ndarray) -> None:
    """To one level; where noise is at its sharpest, one value in a thousand may be two off,
    because a level that rounds differently in the first pass is carried into the second."""
    off = np.abs(found - wanted)
    assert off.max() < 2 * ONE_LEVEL
    assert (off > ONE_LEVEL).mean() < 1e-3
    assert off.mean() < ONE_LEVEL / 20


SIZES = [(120, 200), (61, 83), (97, 97), (100, 90), (240, 320)]


def sharp_pixels(height: int, width: int) -> np.ndarray:
    """Black and white squares and noise: the worst case for a resize without antialiasing."""
    rng = np.random.default_rng(height * 1000 + width)
    board = np.indices((height, width)).sum(0) // 3 % 2 * 255
    noise = rng.integers(0, 256, (height, width, 3))
    noise[: height // 2] = board[: height // 2, :, None]
    return noise.astype(np.uint8)


def prepared(pixels: np.ndarray, size: tuple[int, int], how: Interpolation) -> np.ndarray:
    levels = resized(
        torch.from_numpy(pixels)[None], height=size[0], width=size[1], interpolation=how
    )
    return Normalization()(levels)[0].numpy()


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_detector_input_is_the_processors(height: int, width: int) -> None:
    pixels = sharp_pixels(height, width)
    size = {"shortest_edge": 96, "longest_edge": 160}
    processor = GroundingDinoImageProcessorPil(size=size)
    wanted = processor(Image.fromarray(pixels), return_tensors="np")["pixel_values"][0]
    found = prepared(
        pixels, size_with_shortest_edge(height, width, shortest=96, longest=160), "bilinear"
    )
    assert_agree(found, wanted)


@pytest.mark.parametrize("keep", [True, False], ids=["keeps the aspect", "squeezes"])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_depth_input_is_the_processors(height: int, width: int, keep: bool) -> None:
    pixels = sharp_pixels(height, width)
    processor = DPTImageProcessorPil(
        size={"height": 126, "width": 154}, keep_aspect_ratio=keep, ensure_multiple_of=14,
        image_mean=IMAGENET_MEAN, image_std=IMAGENET_STD,
    )  # fmt: skip
    wanted = processor(Image.fromarray(pixels), return_tensors="np")["pixel_values"][0]
    size = size_of_multiples(
        height, width, target_height=126, target_width=154, multiple=14, keep_aspect=keep
    )
    assert_agree(prepared(pixels, size, "bicubic"), wanted)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_square_input_is_what_pil_resizes(height: int, width: int) -> None:
    """SAM 2's processors need torchvision, which rounds as PIL does."""
    pixels = sharp_pixels(height, width)
    pil = Image.fromarray(pixels).resize((128, 128), Image.Resampling.BILINEAR)
    levels = resized(
        torch.from_numpy(pixels)[None], height=128, width=128, interpolation="bilinear"
    )
    off = levels[0].permute(1, 2, 0).numpy() - np.asarray(pil)
    assert np.abs(off).max() <= 1


def test_without_antialiasing_the_comparison_would_fail() -> None:
    pixels = sharp_pixels(240, 320)
    pil = np.asarray(Image.fromarray(pixels).resize((128, 128), Image.Resampling.BILINEAR))
    plain = torch.nn.functional.interpolate(
        torch.from_numpy(pixels)[None].permute(0, 3, 1, 2).float(), (128, 128), mode="bilinear"
    )
    assert np.abs(plain[0].permute(1, 2, 0).numpy() - pil).max() > 10


def test_bicubic_in_one_pass_would_fail_the_comparison() -> None:
    pixels = sharp_pixels(240, 320)
    pil = np.asarray(Image.fromarray(pixels).resize((154, 126), Image.Resampling.BICUBIC))
    once = torch.nn.functional.interpolate(
        torch.from_numpy(pixels)[None].permute(0, 3, 1, 2).float(), (126, 154), mode="bicubic",
        antialias=True,
    ).round().clamp(0, 255)  # fmt: skip
    assert np.abs(once[0].permute(1, 2, 0).numpy() - pil).max() > 5


def test_the_detectors_size_is_the_librarys_for_every_shape() -> None:
    rng = np.random.default_rng(0)
    for height, width in rng.integers(8, 2200, (2000, 2)).tolist():
        wanted = get_size_with_aspect_ratio((height, width), 800, 1333)
        found = size_with_shortest_edge(height, width, shortest=800, longest=1333)
        assert found == wanted, (height, width)


@pytest.mark.parametrize(
    ("height", "width", "wanted"),
    [
        (720, 1280, (518, 924)),
        (1280, 720, (924, 518)),
        (518, 518, (518, 518)),
        (1000, 20, (518, 14)),
        (480, 640, (518, 686)),
    ],
    ids=["wide", "tall", "square", "thinner than a patch", "rounded half to even"],
)
def test_depth_input_is_in_whole_patches(height: int, width: int, wanted: tuple[int, int]) -> None:
    found = size_of_multiples(
        height, width, target_height=518, target_width=518, multiple=14, keep_aspect=True
    )
    assert found == wanted


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("preprocessor_config.json", '{"image_mean": [0, 0, 0]}', {"image_mean": [0, 0, 0]}),
        ("processor_config.json", '{"image_processor": {"size": 3}}', {"size": 3}),
        ("processor_config.json", '{"tokenizer": 1}', {}),
        ("other.json", "{}", {}),
    ],
    ids=["own file", "inside the processor's", "a processor without pictures", "none"],
)
def test_the_processors_file_is_found(tmp_path: Path, name: str, text: str, wanted: dict) -> None:
    (tmp_path / name).write_text(text)
    assert processor_config(tmp_path) == wanted


def test_a_broken_processor_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text("{")
    with pytest.raises(MissingWeights, match=r"preprocessor_config\.json"):
        processor_config(tmp_path)


def test_frames_are_uploaded_once_and_forgotten() -> None:
    frames = noise_frames(2, 8, 8)
    first = frames_on(frames, "cpu")
    assert frames_on(frames, "cpu") is first
    assert first.data_ptr() == frames.pixels_THWC.ctypes.data
    frames.forget()
    assert frames_on(frames, "cpu") is not first
