"""transformers' own session of SAM 2 and its relatives, to compare with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

from massannot.clip import Frames
from massannot.models.protocols import FrameMasks

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


class LibrarySession:
    """The library's inference session over the same pictures, prepared by PIL."""

    def __init__(self, folder: Path, frames: Frames, *, kind: Any = transformers.Sam2VideoModel):
        self.net = kind.from_pretrained(folder).eval()
        self.side = int(self.net.config.image_size)
        pictures = [
            np.asarray(Image.fromarray(p).resize((self.side,) * 2, Image.Resampling.BILINEAR))
            for p in frames.pixels_THWC
        ]
        values = ((np.stack(pictures) / 255 - MEAN) / STD).transpose(0, 3, 1, 2)
        self.session = Sam2VideoInferenceSession(
            torch.from_numpy(values).float(), frames.height, frames.width, dtype=torch.float32
        )
        self.size = frames.height, frames.width

    def add_box(self, object_id: int, frame: int, box_xyxy: np.ndarray) -> None:
        self._add(object_id, frame, box_xyxy.reshape(2, 2), [2, 3])

    def add_point(self, object_id: int, frame: int, xy: np.ndarray) -> None:
        self._add(object_id, frame, xy.reshape(1, 2), [1])

    def _add(self, object_id: int, frame: int, points: np.ndarray, labels: list[int]) -> None:
        scale = self.side / np.array(self.size[::-1])
        placed = torch.tensor(points * scale - 0.5, dtype=torch.float32)[None, None]
        index = self.session.obj_id_to_idx(object_id)
        self.session.add_point_inputs(
            index, frame, {"point_coords": placed, "point_labels": torch.tensor([[labels]])}
        )
        self._run(object_id, frame)

    def add_mask(self, object_id: int, frame: int, mask: np.ndarray) -> None:
        full = torch.from_numpy(mask)[None, None].float()
        small = torch.nn.functional.interpolate(
            full, (self.side,) * 2, mode="bilinear", antialias=True
        )
        index = self.session.obj_id_to_idx(object_id)
        self.session.add_mask_inputs(index, frame, (small >= 0.5).float())
        self._run(object_id, frame)

    def _run(self, object_id: int, frame: int) -> None:
        self.session.obj_with_new_inputs = [object_id]
        self.net(self.session, frame_idx=frame)

    def propagate(self, first: int, end: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Per frame: mask logits at working size (K, H, W), score (K,)."""
        answers = []
        for frame in range(first, end, 1 if end >= first else -1):
            out = self.net(self.session, frame_idx=frame, reverse=end < first)
            up = torch.nn.functional.interpolate(out.pred_masks.float(), self.size, mode="bilinear")
            answers.append((up[:, 0].numpy(), out.object_score_logits[:, 0].sigmoid().numpy()))
        return answers


def assert_same(
    found: list[FrameMasks],
    wanted: list[tuple[np.ndarray, np.ndarray]],
    *,
    nothing: float = 0.02,
    n_sure: float = 0.9,
    score: float = 2e-3,
) -> None:
    """Masks but for pixels whose logit is next to `nothing`; scores to what one grey level does."""
    assert len(found) == len(wanted)
    for mine, (logits, scores) in zip(found, wanted):
        sure = np.abs(logits) > nothing
        assert sure.mean() > n_sure
        np.testing.assert_array_equal(mine.masks[sure], (logits > 0)[sure])
        np.testing.assert_allclose(mine.score, scores, atol=score)
