"""A trained run as a folder that the adapters load: `export_embedded.py MODEL --run DIR --out DIR`.

Weights are stored in half precision, and everything the card says was measured on them as stored,
through the adapter, on validation scenes (`embedded/measured.py`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent.parent))

import importlib

import torch

from massannot.models.depth_anything import CanonicalFocal
from massannot.scenes.world import HELD_OUT_SEEDS, SCENE_VERSION, TRAINING_SEEDS, VALIDATION_SEEDS
from tests.random_weights import (
    depth_anything_processor,
    grounding_dino_processor,
    sam2_processor,
)
from tools.embedded import measured
from tools.embedded.training import curve

ADAPTERS = {
    "detection": "grounding_dino",
    "segmentation": "sam2_video",
    "depth": "depth_anything",
}
CHECK_CLIPS = 3
"""Few enough for a test, which holds the weights to these figures."""

NOTE = (
    "These weights know only this project's rendered scenes: figures say nothing about real video."
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=sorted(ADAPTERS))
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="the folder of all three")
    parser.add_argument("--clips", type=int, default=16, help="validation clips to measure on")
    parser.add_argument("--remark", default="", help="what happened to this run, for its card")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    module = importlib.import_module(f"tools.embedded.{args.model}")
    held = torch.load(args.run / "checkpoint.pt", map_location="cpu", weights_only=True)
    net = module.network()
    net.load_state_dict(held.get("average", held["net"]))
    folder = args.out / ADAPTERS[args.model]
    part = args.out / f".{folder.name}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    net.half().save_pretrained(part)
    (part / "preprocessor_config.json").write_text(json.dumps(_processor(args.model), indent=2))
    if args.model == "detection":
        module.write_tokenizer(part)
    clips = measured.validation_clips(args.clips)
    measure: Callable[[Path, Any], tuple[dict[str, Any], dict[str, float]]] = getattr(
        measured, args.model
    )
    options, scores = measure(part, clips)
    _, few = measure(part, clips[:CHECK_CLIPS])
    card = {
        "name": folder.name,
        "license": "apache-2.0",
        "note": NOTE,
        "options": options,
        **({"canonical": asdict(CanonicalFocal())} if args.model == "depth" else {}),
        "parameters": sum(p.numel() for p in net.parameters()),
        "sha256": hashlib.sha256((part / "model.safetensors").read_bytes()).hexdigest(),
        "scene_version": SCENE_VERSION,
        "training": {
            "steps": held["step"],
            "cpu_minutes": round(held["cpu_min"], 1),
            "seeds": f"from {TRAINING_SEEDS.start}; never {HELD_OUT_SEEDS.start}.."
            f"{HELD_OUT_SEEDS.stop - 1}",
            "remark": args.remark,
            "curve": curve(args.run),
        },
        "validation": {
            "seeds": f"{VALIDATION_SEEDS.start}..{VALIDATION_SEEDS.start + args.clips - 1}",
            "frames": measured.CLIP_FRAMES,
            **scores,
        },
        "check": {"clips": CHECK_CLIPS, **few},
    }
    (part / "model.safetensors").chmod(0o644)
    (part / "card.json").write_text(json.dumps(card, indent=2) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    print(json.dumps({"options": options, **scores}, indent=1))


def _processor(model: str) -> dict[str, Any]:
    if model == "detection":
        from tools.embedded.detection import H, W

        return grounding_dino_processor(height=H, width=W)
    if model == "segmentation":
        from tools.embedded.segmentation import SIDE

        return sam2_processor(SIDE)
    from tools.embedded.depth import INPUT

    return depth_anything_processor(*INPUT, keep_aspect_ratio=False)


if __name__ == "__main__":
    main()
