"""Thumbnails: pictures for the tiny model, PICTURE_PX on each side, without torchvision.

transformers' own processors take a millisecond or two a picture; a group of eight completions with
four frames each shows a picture 32 times.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from transformers import BatchFeature
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil


class Thumbnails(CLIPImageProcessorPil):
    """RGB pictures of the right size as (N, 3, H, W) from -1 to 1."""

    def __call__(self, images: Any, **kwargs: Any) -> BatchFeature:
        import torch

        flat = [one for each in images for one in (each if isinstance(each, list) else [each])]
        pixels = np.stack([np.asarray(one, np.float32) for one in flat]) / 127.5 - 1
        return BatchFeature({"pixel_values": torch.from_numpy(pixels).permute(0, 3, 1, 2)})
