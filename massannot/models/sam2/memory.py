"""The memory of a SAM 2 session: its objects' moments, and the network's input made from them.

An object is remembered by its prompted frames (for ever) and by its most recent tracked frames (a
window), so memory does not grow with the clip. Objects with equally many memories go through the
network together. The window is the network's own: it never looks further back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch


@dataclass(eq=False)
class Moment:
    """One object in one frame. `features` (L, M), the tokens of its memory, None once too old to be
    read, and of a prompted frame until something reads them;
    `pointer` (C,) its summary; `score` () the logit that it is in the picture; `mask_low` (h', w')
    logits, only where a prompt fixed them."""

    features: torch.Tensor | None
    pointer: torch.Tensor
    score: torch.Tensor
    mask_low: torch.Tensor | None = None


@dataclass(eq=False)
class ObjectMemory:
    """One object's moments by frame."""

    prompted: dict[int, Moment] = field(default_factory=dict)
    recent: dict[int, Moment] = field(default_factory=dict)

    def prompt(self, frame: int, moment: Moment) -> None:
        """A prompt replaces what was tracked there."""
        self.prompted[frame] = moment
        self.recent.pop(frame, None)

    def track(
        self, frame: int, moment: Moment, *, features_window: int, pointers_window: int
    ) -> None:
        """Remember a tracked frame and forget what lies outside the windows around it."""
        self.recent[frame] = moment
        for other in [f for f in self.recent if abs(f - frame) > pointers_window]:
            del self.recent[other]
        for other, old in self.recent.items():
            if abs(other - frame) > features_window:
                old.features = None


@dataclass(frozen=True, eq=False)
class MemoryInput:
    """Input of the memory attention for B objects, given by their indices in the list of
    objects."""

    objects: tuple[int, ...]
    memory: torch.Tensor
    """(B, L, M): spatial memories, then object pointers cut into pieces of M."""
    position: torch.Tensor
    """(B, L, M), or (1, L, M) where it is the same for all."""
    n_pointer_tokens: int


class MemoryReader:
    """Builds MemoryInputs for one network and one clip of `n_frames`."""

    def __init__(self, net: Any, *, n_frames: int, spatial_position: torch.Tensor):
        """`spatial_position` (L, M): the encoding of a memory's places, the same for all."""
        config = net.config
        self._max_prompted = int(config.max_cond_frame_num)
        self._n_memories = int(config.num_maskmem)
        self._n_pointers = min(n_frames, int(config.max_object_pointers_in_encoder))
        self._channels = int(spatial_position.shape[-1])
        age = net.memory_temporal_positional_encoding[:, 0, 0]  # age 0 is the last: index -1
        self._position_by_age = [spatial_position + age[k - 1] for k in range(self._n_memories)]
        pieces = int(net.hidden_dim) // self._channels
        far = _pointer_positions(net, n_frames, self._n_pointers)
        self._position_by_distance = far[:, None].expand(-1, pieces, -1)

    @property
    def features_window(self) -> int:
        """Frames back within which a memory's features are read."""
        return self._n_memories - 1

    @property
    def pointers_window(self) -> int:
        """Frames back within which a pointer is read."""
        return max(self._n_memories, self._n_pointers) - 1

    def inputs(
        self, objects: Sequence[ObjectMemory], *, frame: int, backwards: bool, at_most: int
    ) -> Iterator[MemoryInput]:
        """The objects in groups of equally many memories, at most `at_most` in one."""
        groups: dict[tuple[int, int], list[tuple[int, _Recall]]] = {}
        for index, memory in enumerate(objects):
            recall = self._recall(memory, frame, -1 if backwards else 1)
            groups.setdefault((len(recall.ages), len(recall.distances)), []).append((index, recall))
        for members in groups.values():
            for first in range(0, len(members), at_most):
                yield self._joined(members[first : first + at_most])

    def _recall(self, memory: ObjectMemory, frame: int, direction: int) -> _Recall:
        chosen = self._closest_prompted(memory, frame)
        spatial = [(0, moment) for moment in chosen.values()]
        for age in range(self._n_memories - 1, 0, -1):
            then = frame - direction * age
            old = memory.recent.get(then)
            if old is None and then not in chosen:
                old = memory.prompted.get(then)
            if old is not None:
                spatial.append((age, old))
        pointed = [
            ((frame - then) * direction, moment)
            for then, moment in memory.prompted.items()
            if (frame - then) * direction >= 0
        ]
        for distance in range(1, self._n_pointers):
            old = memory.recent.get(frame - direction * distance)
            if old is not None:
                pointed.append((distance, old))
        features = [m.features for _, m in spatial if m.features is not None]
        ages = [age for age, m in spatial if m.features is not None]
        return _Recall(ages, features, [d for d, _ in pointed], [m.pointer for _, m in pointed])

    def _closest_prompted(self, memory: ObjectMemory, frame: int) -> dict[int, Moment]:
        """All prompted frames, or the configured number: the nearest on each side, then nearest."""
        times = list(memory.prompted)
        if 0 <= self._max_prompted < len(times):
            before = max((t for t in times if t < frame), default=None)
            after = min((t for t in times if t >= frame), default=None)
            sides = [t for t in (before, after) if t is not None]
            rest = sorted((t for t in times if t not in sides), key=lambda t: abs(t - frame))
            times = (sides + rest)[: max(self._max_prompted, len(sides))]
        return {t: memory.prompted[t] for t in times}

    def _joined(self, members: Sequence[tuple[int, _Recall]]) -> MemoryInput:
        recalls = [recall for _, recall in members]
        n, pieces = len(recalls), 0
        spatial = torch.cat([m for recall in recalls for m in recall.features]).float()
        memory = spatial.view(n, -1, self._channels)
        if recalls[0].pointers:
            pointers = torch.stack([p for recall in recalls for p in recall.pointers])
            pointers = pointers.view(n, -1, self._channels)
            pieces = pointers.shape[1]
            memory = torch.cat([memory, pointers], dim=1)
        places = {(tuple(r.ages), tuple(r.distances)) for r in recalls}
        if len(places) == 1:
            position = self._position(recalls[0])[None]
        else:
            position = torch.stack([self._position(recall) for recall in recalls])
        return MemoryInput(tuple(index for index, _ in members), memory, position, pieces)

    def _position(self, recall: _Recall) -> torch.Tensor:
        """(L, M)."""
        of_ages = [self._position_by_age[age] for age in recall.ages]
        return torch.cat(of_ages + [self._position_by_distance[d] for d in recall.distances])


@dataclass(frozen=True, eq=False)
class _Recall:
    ages: list[int]
    features: list[torch.Tensor]
    distances: list[int]
    pointers: list[torch.Tensor]


def _pointer_positions(net: Any, n_frames: int, n_pointers: int) -> torch.Tensor:
    """(n_frames, M): the encoding of a pointer's distance in frames, relative to how far the
    network looks back; all of them at once, so that no frame waits for a small upload."""
    channels, memory = int(net.hidden_dim), int(net.mem_dim)
    device = net.memory_temporal_positional_encoding.device
    if not net.config.enable_temporal_pos_encoding_for_object_pointers:
        return torch.zeros(n_frames, memory, device=device)
    distance = torch.arange(n_frames, dtype=torch.float32, device=device) / max(n_pointers - 1, 1)
    pairs = torch.arange(channels // 2, dtype=torch.float32, device=device)
    wavelength = 10000 ** (2 * (pairs // 2) / (channels // 2))
    phase = distance[:, None] / wavelength
    encoded = torch.cat([phase.sin(), phase.cos()], dim=-1)
    projected: torch.Tensor = net.temporal_positional_encoding_projection_layer(encoded)
    return projected.float()
