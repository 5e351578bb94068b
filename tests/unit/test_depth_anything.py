"""Depth Anything: the official processor's pixels, the network's own size, metres or affine."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from massannot.errors import BadModelOutput, MissingWeights, UsageError
from massannot.models.depth_anything import CanonicalFocal, DepthAnything
from massannot.models.protocols import DepthEstimator
from massannot.models.weights import Weights
from tests.tiny_models import frames_of, noise_frames, tiny_depth

try:
    from transformers import DPTImageProcessorPil
except ImportError:  # transformers before the backends were split
    from transformers import DPTImageProcessor as DPTImageProcessorPil


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_depth(tmp_path_factory.mktemp("depth"))


def model(folder: Path, **options: object) -> DepthAnything:
    depth = DepthAnything(Weights(str(folder)), **options)  # type: ignore[arg-type]
    depth.setup(device="cpu")
    return depth


def official(folder: Path, picture: np.ndarray) -> np.ndarray:
    """What transformers itself says of one picture (H, W, 3)."""
    processor = DPTImageProcessorPil.from_pretrained(folder)
    net = transformers.DepthAnythingForDepthEstimation.from_pretrained(folder).eval()
    with torch.inference_mode():
        values = processor(Image.fromarray(picture), return_tensors="pt")
        return net(**values).predicted_depth[0].numpy()


@pytest.mark.parametrize(
    ("height", "width", "processor"),
    [
        (120, 200, {}),
        (200, 120, {}),
        (126, 154, {}),
        (61, 83, {}),
        (120, 160, {"keep_aspect_ratio": False}),
    ],
    ids=["wide", "tall", "already the size", "enlarged", "squeezed to the size"],
)
def test_depth_is_what_transformers_says(
    tmp_path: Path, height: int, width: int, processor: dict
) -> None:
    folder = tiny_depth(tmp_path, **processor)
    frames = noise_frames(2, height, width)
    maps = model(folder).estimate_depth(frames)
    for found, picture in zip(maps.values, frames.pixels_THWC):
        wanted = official(folder, picture)
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, atol=1e-2)  # of 2.4, by one grey level


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda p: p[..., ::-1], "channels in the order B G R"),
        (lambda p: np.roll(p, 1, axis=2), "one pixel to the right"),
        (lambda p: np.clip(p.astype(int) + 6, 0, 255).astype(np.uint8), "another mean"),
    ],
    ids=["channels", "shift", "mean"],
)
def test_the_comparison_with_transformers_would_notice(
    folder: Path, spoil: object, why: str
) -> None:
    frames = noise_frames(1, 120, 160)
    spoiled = frames_of(np.ascontiguousarray(spoil(frames.pixels_THWC)))  # type: ignore[operator]
    off = np.abs(
        model(folder).estimate_depth(spoiled).values[0] - official(folder, frames.pixels_THWC[0])
    )
    assert off.max() > 4e-2, why


class Luminance(torch.nn.Module):
    """A network that answers each input pixel with its own brightness."""

    def forward(self, values: torch.Tensor) -> object:
        return transformers.modeling_outputs.DepthEstimatorOutput(predicted_depth=values.mean(1))


@pytest.mark.parametrize("x", [30, 80, 131])
def test_a_map_pixel_lies_where_its_corner_coordinates_say(folder: Path, x: int) -> None:
    pixels = np.full((1, 120, 160, 3), 64, np.uint8)
    pixels[:, :, x - 4 : x + 4] = 192  # a stripe, 8 wide, centred at x, free of overshoot
    depth = model(folder)
    depth._loaded.net.__class__ = type("Probe", (Luminance,), {})  # the network is the oracle here
    values = depth.estimate_depth(frames_of(pixels)).values[0].astype(np.float64)
    light = values - np.median(values)
    columns = (np.arange(light.shape[1]) + 0.5) * 160 / light.shape[1]
    assert (light * columns).sum() / light.sum() == pytest.approx(x, abs=0.02)


@pytest.mark.parametrize(("kind", "wanted"), [("metric", "metric"), ("relative", "affine")])
def test_the_configuration_says_what_depth_means(tmp_path: Path, kind: str, wanted: str) -> None:
    maps = model(tiny_depth(tmp_path, kind=kind)).estimate_depth(noise_frames(1, 60, 80))
    assert maps.kind == wanted
    assert maps.values.dtype == np.float32


def test_batches_of_any_size_say_the_same(folder: Path) -> None:
    frames = noise_frames(5, 60, 80)
    one, many = (model(folder, batch=n).estimate_depth(frames).values for n in (1, 3))
    np.testing.assert_allclose(one, many, atol=1e-4)


def test_a_canonical_network_is_scaled_by_the_focal_length(folder: Path) -> None:
    frames = noise_frames(1, 120, 320)
    plain = model(folder).estimate_depth(frames).values
    canonical = model(folder, canonical=CanonicalFocal(150.0, 160.0), focal_px=600.0)
    np.testing.assert_allclose(canonical.estimate_depth(frames).values, plain * 2, rtol=1e-6)
    np.testing.assert_allclose(
        canonical.estimate_depth(frames, focal_px=300.0).values, plain, rtol=1e-6
    )


@pytest.mark.parametrize(
    ("kind", "options", "reach"),
    [
        ("metric", {}, 20.0),
        ("metric", {"canonical": CanonicalFocal(150.0, 160.0), "focal_px": 150.0}, 40.0),
        ("relative", {}, None),
    ],
    ids=["as configured", "another lens", "inverse depth has none"],
)
def test_the_farthest_answer_is_handed_on(
    tmp_path: Path, kind: str, options: dict, reach: float | None
) -> None:
    maps = model(tiny_depth(tmp_path, kind=kind), **options).estimate_depth(noise_frames(1, 60, 80))
    assert maps.max_depth == reach


def test_the_weights_card_may_say_that_they_are_canonical(tmp_path: Path) -> None:
    frames, folder = noise_frames(1, 120, 160), tiny_depth(tmp_path)
    plain = model(folder).estimate_depth(frames).values
    card = {"canonical": {"focal_px": 150.0, "width_px": 160.0}}
    (folder / "card.json").write_text(json.dumps(card))
    found = model(folder).estimate_depth(frames, focal_px=300.0).values
    np.testing.assert_allclose(found, plain * 2, rtol=1e-6)


def test_a_canonical_network_without_a_focal_length_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="give focal_px"):
        model(folder, canonical=CanonicalFocal()).estimate_depth(noise_frames(1, 60, 80))


def test_weights_that_answer_nan_cost_the_clip(folder: Path) -> None:
    depth = model(folder)
    with torch.no_grad():
        depth._loaded.net.head.inner.conv3.weight.fill_(torch.nan)
    with pytest.raises(BadModelOutput, match="NaN"):
        depth.estimate_depth(noise_frames(1, 60, 80))


def test_weights_of_another_shape_are_refused_by_name(tmp_path: Path) -> None:
    folder = tiny_depth(tmp_path)
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"head_hidden_size": 8', '"head_hidden_size": 9'))
    with pytest.raises(MissingWeights, match="head"):
        model(folder)


def test_the_card_counts_parameters_and_names_the_file(folder: Path) -> None:
    depth = model(folder)
    net = transformers.DepthAnythingForDepthEstimation.from_pretrained(folder)
    assert depth.card().n_parameters == sum(p.numel() for p in net.parameters())
    assert len(depth.card().sha256) == 64
    assert depth.card().license == "untagged"
    assert isinstance(depth, DepthEstimator)


def test_a_loaded_network_computes_in_full_float32(tmp_path: Path) -> None:
    """cuDNN's default would round the factors of convolutions to 10 bits."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    DepthAnything(Weights(str(tiny_depth(tmp_path)))).setup(device="cpu")
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
