"""Depth Pro: transformers' own metres and lens for the same pixels; what is made of the lens."""

from __future__ import annotations

import ast
import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from massannot.errors import BadModelOutput, MissingWeights
from massannot.models.depth_pro import DepthPro
from massannot.models.protocols import CameraEstimator, DepthEstimator
from massannot.models.weights import Weights
from massannot.stages.estimate_cameras import EstimateCameras
from massannot.stages.estimate_depth import EstimateDepth
from tests.drawn_world import clip_of
from tests.tiny_models import noise_frames, tiny_depth_pro

HEIGHT, WIDTH = 60, 80
FRAMES = noise_frames(3, HEIGHT, WIDTH)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_depth_pro(tmp_path_factory.mktemp("depth"))


def model(folder: Path, **options: Any) -> DepthPro:
    adapter = DepthPro(Weights(str(folder)), **options)
    adapter.setup(device="cpu")
    return adapter


def post_processing() -> Any:
    """transformers' post_process_depth_estimation. Its module imports torchvision, so the function
    is read from there as it stands."""
    spec = importlib.util.find_spec("transformers.models.depth_pro")
    assert spec is not None
    assert spec.origin is not None
    module = Path(spec.origin).parent / "image_processing_depth_pro.py"
    (function,) = [
        node
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name == "post_process_depth_estimation"
    ]
    names = "from __future__ import annotations\n" + ast.unparse(function)
    scope = {
        "torch": torch,
        "pil_torch_interpolation_mapping": {2: SimpleNamespace(value="bilinear")},
    }
    exec(names, scope)
    return scope["post_process_depth_estimation"]


def official(folder: Path) -> list[dict[str, torch.Tensor]]:
    """What transformers itself says of FRAMES at their own size, with pictures normalised and then
    resized without antialiasing, as its processor does it."""
    net = transformers.DepthProForDepthEstimation.from_pretrained(folder).eval()
    levels = torch.from_numpy(FRAMES.pixels_THWC).permute(0, 3, 1, 2).float()
    values = torch.nn.functional.interpolate(
        (levels / 255 - 0.5) / 0.5, (192, 192), mode="bilinear", antialias=False
    )
    with torch.inference_mode():
        out = net(pixel_values=values)
        processor = SimpleNamespace(resample=2)
        found: list[dict[str, torch.Tensor]] = post_processing()(
            processor, out, target_sizes=[(HEIGHT, WIDTH)] * len(FRAMES)
        )
    return found


def test_metres_and_lens_are_those_of_transformers(folder: Path) -> None:
    adapter, wanted = model(folder), official(folder)
    maps = adapter.estimate_depth(FRAMES)
    assert (maps.kind, maps.values.shape) == ("metric", (3, HEIGHT, WIDTH))
    for found, one in zip(maps.values, wanted, strict=True):
        inverse = 1 / one["predicted_depth"].numpy()  # what the network answers
        np.testing.assert_allclose(1 / found, inverse, rtol=1e-4, atol=1e-6)
    assert np.ptp(maps.values) > 0.01 * maps.values.mean()
    cameras = adapter.estimate_cameras(FRAMES)
    fov = np.median([float(one["field_of_view"]) for one in wanted])
    focal = 0.5 * WIDTH / np.tan(np.radians(fov) / 2)
    np.testing.assert_allclose(cameras.intrinsics, [[focal, focal, 40, 30]] * 3, rtol=1e-5)


def test_batches_of_any_size_say_the_same(folder: Path) -> None:
    one, many = (model(folder, batch=n).estimate_depth(FRAMES).values for n in (1, 2))
    np.testing.assert_allclose(one, many, rtol=1e-4)


def test_a_lens_that_is_known_is_believed(folder: Path) -> None:
    """Metres grow with the focal length: the network saw them as one lens would."""
    near, far = (model(folder).estimate_depth(FRAMES, focal_px=f).values for f in (70.0, 140.0))
    bounded = far < 9_000  # beyond, inverse depth is clamped
    assert bounded.mean() > 0.9
    np.testing.assert_allclose(far[bounded], 2 * near[bounded], rtol=1e-4)


def test_the_lens_feeds_the_camera_with_its_own_uncertainty_and_then_the_depth(
    folder: Path,
) -> None:
    adapter = model(folder, focal_rel_sd=0.2)
    spread = np.std(np.log([1 / np.tan(np.radians(float(o["field_of_view"])) / 2)
                            for o in official(folder)]))  # fmt: skip
    clip = EstimateCameras(adapter).process(clip_of(FRAMES, []))
    cameras = clip.table("cameras")
    assert set(cameras["intrinsics_origin"].to_pylist()) == {"estimated"}
    assert set(cameras["pose_origin"].to_pylist()) == {"assumed"}
    np.testing.assert_allclose(cameras["focal_rel_sd"], np.hypot(0.2, spread), rtol=1e-4)
    assert spread > 0
    depth = EstimateDepth(model(folder)).process(clip).depth
    focal = cameras["fx"].to_pylist()[0]
    assert depth is not None
    known = adapter.estimate_depth(FRAMES, focal_px=focal).values
    np.testing.assert_array_equal(depth.values, known)


def test_both_jobs_of_a_process_hold_one_network(folder: Path) -> None:
    camera, depth = model(folder), model(folder)
    assert camera._loaded is depth._loaded
    camera.destroy()
    assert depth.estimate_depth(FRAMES).values.shape == (3, HEIGHT, WIDTH)
    assert isinstance(depth, DepthEstimator)
    assert isinstance(depth, CameraEstimator)


def test_weights_without_the_field_of_view_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingWeights, match="use_fov_model false"):
        model(tiny_depth_pro(tmp_path, use_fov_model=False))


def test_an_angle_that_no_lens_has_costs_the_clip(folder: Path, tmp_path: Path) -> None:
    adapter = model(folder)
    bias = adapter._loaded.net.fov_model.head.layers[-1].bias  # type: ignore[union-attr]
    with torch.no_grad():
        before = bias.clone()
        bias.fill_(400.0)
        try:
            for ask in (adapter.estimate_depth, adapter.estimate_cameras):
                with pytest.raises(BadModelOutput, match="expected more than 0, below 180"):
                    ask(FRAMES)
        finally:
            bias.copy_(before)
    config = json.loads((folder / "config.json").read_text())
    assert config["use_fov_model"] is True
