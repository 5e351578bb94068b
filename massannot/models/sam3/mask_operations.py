"""The two operations on masks that transformers' SAM 3 takes from a kernel it downloads.

Without that kernel it leaves them out and only warns: the same thing is then found several times,
and holes and specks stay. Here they are torch, on any device: greedy suppression by mask IoU, and
connected components.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F


class MaskOperations:
    """Stands where transformers keeps its kernel (`modeling_sam3_video.cv_utils_kernel`)."""

    @staticmethod
    def generic_nms(
        ious: torch.Tensor,
        scores: torch.Tensor,
        iou_threshold: float,
        *,
        use_iou_matrix: bool = True,
    ) -> torch.Tensor:
        """Indices (K,) of N detections, best first, that overlap no kept better one by more than
        `iou_threshold`. `ious` (N, N)."""
        order = scores.argsort(descending=True, stable=True).tolist()
        overlapping = (ious > iou_threshold).cpu()
        kept: list[int] = []
        for index in order:
            if not kept or not overlapping[index, kept].any():
                kept.append(index)
        return torch.tensor(kept, dtype=torch.int64, device=scores.device)

    @staticmethod
    def cc_2d(masks: torch.Tensor, *, get_counts: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
        """Labels and areas, int32 (N, 1, H, W), of the 8-connected components of masks uint8
        (N, 1, H, W); 0 outside of the masks."""
        n, _, height, width = masks.shape
        inside = masks.bool()
        own = torch.arange(1, height * width + 1, device=masks.device, dtype=torch.float64)
        labels = own.view(1, 1, height, width).expand(n, -1, -1, -1) * inside
        while True:  # every component takes its largest number, a pixel a step
            spread = F.max_pool2d(labels, 3, stride=1, padding=1) * inside
            if torch.equal(spread, labels):
                break
            labels = spread
        flat = labels.long().flatten(1)
        counts = torch.zeros(n, height * width + 1, dtype=torch.int64, device=masks.device)
        counts.scatter_add_(1, flat, torch.ones_like(flat))
        areas = counts.gather(1, flat).view_as(labels) * inside
        return labels.int(), areas.int()
