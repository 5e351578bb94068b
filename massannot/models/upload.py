"""A clip's pictures as one uint8 tensor on the models' device, sent there once per clip."""

from __future__ import annotations

import warnings

import torch

from massannot.pixels import Frames


def frames_on(frames: Frames, device: str) -> torch.Tensor:
    """uint8 (T, H, W, 3) RGB on `device`; on the CPU it shares the frames' own memory.

    Read only: every model resizes and normalises a copy. It lives until `frames.forget()`.
    """
    return frames.once(("upload", device), lambda: _uploaded(frames, device))


def _uploaded(frames: Frames, device: str) -> torch.Tensor:
    with warnings.catch_warnings():
        # Shared memory may be mapped read-only, which torch cannot express and warns about.
        warnings.filterwarnings("ignore", message=".*not writable.*", category=UserWarning)
        pixels = torch.from_numpy(frames.pixels_THWC)
    return pixels.to(device)
