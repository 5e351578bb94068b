"""The peer of `annotate`: the shortest honest script with transformers. The detector in key frames,
a Sam2Video session over all frames, depth of every frame; no tables, identities, tracks, way back.

    python tests/bench/plain_script.py WEIGHTS PROMPTS.json

PROMPTS: videos with their text, and the boxes that begin each thing, [[frame, [x0, y0, x1, y1]]]:
with `annotate`'s own boxes both follow the same things. Answers are counted and dropped.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
import torch.nn.functional as F
from transformers import (
    AutoTokenizer,
    DepthAnythingForDepthEstimation,
    GroundingDinoForObjectDetection,
    Sam2VideoModel,
)
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

KEY_EVERY = 8
MEAN = torch.tensor((0.485, 0.456, 0.406))[:, None, None]
STD = torch.tensor((0.229, 0.224, 0.225))[:, None, None]


def main(weights: Path, videos: list[dict[str, Any]]) -> dict[str, int]:
    """Counts of what was computed."""
    detector, masks, depth = (
        kind.from_pretrained(weights / name, dtype=torch.float32).eval()
        for kind, name in (
            (GroundingDinoForObjectDetection, "grounding_dino"),
            (Sam2VideoModel, "sam2_video"),
            (DepthAnythingForDepthEstimation, "depth_anything"),
        )
    )
    tokenizer = AutoTokenizer.from_pretrained(weights / "grounding_dino")
    sides = {}
    for name in ("grounding_dino", "sam2_video", "depth_anything"):
        config = json.loads((weights / name / "preprocessor_config.json").read_text())
        sides[name] = config["size"]["height"], config["size"]["width"]
    counts = dict.fromkeys(("frames", "boxes", "object_frames", "mask_pixels", "depths"), 0)
    for video in videos:
        with av.open(video["video"]) as container:
            frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
        pixels = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)
        height, width = pixels.shape[-2:]
        counts["frames"] += len(pixels)

        text = tokenizer(video["text"], return_tensors="pt")
        for values in prepared(pixels[::KEY_EVERY], sides["grounding_dino"]):
            scores = detector(values[None], **text).logits.sigmoid().amax(-1)
            counts["boxes"] += int((scores > 0.35).sum())

        side = sides["sam2_video"][0]
        values = prepared(pixels, (side, side))
        session = Sam2VideoInferenceSession(values, height, width, dtype=torch.float32)
        begins: dict[int, list[tuple[int, list[float]]]] = {}
        for thing, (frame, box) in enumerate(video["boxes"]):
            begins.setdefault(frame, []).append((thing, box))
        scale = side / torch.tensor([width, height, width, height])
        for frame in range(len(pixels)):
            for thing, box in begins.get(frame, ()):
                corners = (torch.tensor(box) * scale).reshape(1, 1, 2, 2)
                point = {"point_coords": corners, "point_labels": torch.tensor([[[2, 3]]])}
                session.add_point_inputs(session.obj_id_to_idx(thing), frame, point)
                session.obj_with_new_inputs.append(thing)
            if session.get_obj_num():
                low = masks(session, frame_idx=frame).pred_masks
                seen = F.interpolate(low, (height, width), mode="bilinear") > 0
                counts["object_frames"] += len(seen)
                counts["mask_pixels"] += int(seen.sum())

        for values in prepared(pixels, sides["depth_anything"]):
            counts["depths"] += len(depth(values[None]).predicted_depth)
    return counts


def prepared(pixels_THCW: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    """float32 (T, 3, h, w), normalised."""
    values = F.interpolate(pixels_THCW.float(), size, mode="bilinear", antialias=True) / 255
    return (values - MEAN) / STD


if __name__ == "__main__":
    with torch.inference_mode():
        print(json.dumps(main(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()))))
