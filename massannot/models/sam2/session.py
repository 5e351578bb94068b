"""One clip's objects in SAM 2: prompted by boxes or masks, followed both ways, forgotten at will.

A prompt costs a pass of the decoder; its memory is encoded when something first reads it, so that
prompts which turn out to be known things, or nothing, cost no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from massannot.clip import Frames
from massannot.errors import BadModelOutput, UsageError
from massannot.models.networks import frames_on, inference
from massannot.models.preprocess import Normalization
from massannot.models.protocols import FrameMasks, MaskSession, ModelCard, point_of
from massannot.models.runtime import micro_batch
from massannot.models.sam2.features import ClipFeatures, box_corners, box_logits, squared_mask
from massannot.models.sam2.hiera import HieraEncoder
from massannot.models.sam2.memory import MemoryReader, Moment, ObjectMemory
from massannot.models.sam2.passes import ObjectPasses

if TYPE_CHECKING:
    from massannot.models.sam2.propagator import Sam2Video

Bool = npt.NDArray[np.bool_]
F32 = npt.NDArray[np.float32]

KEPT_BYTES = {"cpu": 256 << 20, "cuda": 2 << 30}
"""Of encoded pictures, for the way back: a hundred frames of a small network, and at the official
size 16 frames in a machine's memory, 128 on a GPU."""


class Sam2Session(MaskSession):
    """One clip's objects. A prompt always starts afresh from its frame's picture: a second prompt
    of an object adds one more frame that is remembered for ever."""

    def __init__(self, loaded: LoadedSam2, options: Sam2Video, frames: Frames):
        self._net = loaded.net
        self._device = loaded.device
        self._options = options
        self._frames = frames
        self._image_size = int(loaded.net.prompt_encoder.input_image_size)
        kind = "cuda" if loaded.device.startswith("cuda") else "cpu"
        # In bfloat16 a processor does what is heavy and no more: the rest would cost as much, and
        # be less exact.
        narrow = torch.bfloat16 if self._narrows_products() else None
        self._features = ClipFeatures(
            loaded.encoder,
            frames_on(frames, loaded.device),
            image_size=self._image_size,
            normalize=loaded.normalize,
            block=micro_batch(options.encode_batch or (8 if kind == "cuda" else 1)),
            kept_bytes=options.kept_mib << 20 or KEPT_BYTES[kind],
            encoder_dtype=narrow,
        )
        with self._inference():
            self._passes = loaded.passes(
                loaded.net, loaded.encoder, device=loaded.device, products=narrow
            )
        self._reader: MemoryReader | None = None
        self._objects: dict[int, ObjectMemory] = {}
        self._given: dict[tuple[int, int], Bool] = {}

    def add_box(self, object_id: int, *, frame: int, box_xyxy: F32) -> Bool:
        """Prompt a new object; returns its mask (H, W) in that frame."""
        return self.add_boxes([object_id], frame=frame, boxes_xyxy=box_xyxy[None])[0]

    def add_boxes(self, object_ids: Sequence[int], *, frame: int, boxes_xyxy: F32) -> Bool:
        """Prompt new objects by boxes (K, 4) in one pass; returns their masks (K, H, W). An object
        that is removed before it is propagated costs no memory encoding."""
        self._check_frame(frame)
        size = {"width": self._frames.width, "height": self._frames.height}
        at_most = micro_batch(self._options.object_batch)
        grid = self._net.prompt_encoder.mask_input_size
        masks = [np.zeros((0, self._frames.height, self._frames.width), np.bool_)]
        for first in range(0, len(object_ids), at_most):
            boxes = boxes_xyxy[first : first + at_most]
            corners = np.concatenate([box_corners(b, **size, side=self._image_size) for b in boxes])
            dense = None
            if self._options.box_as_mask:
                self._check_boxes(boxes)
                dense = np.concatenate([box_logits(b, **size, grid=grid) for b in boxes])
            with self._inference():
                seen = self._features[frame]
                decoded = self._passes.decode(
                    self._passes.unremembered(seen),
                    seen.finer,
                    corners=self._on_device(corners),
                    dense=None if dense is None else self._on_device(dense),
                )
                for row, object_id in enumerate(object_ids[first : first + at_most]):
                    moment = Moment(
                        None, decoded.pointer[row], decoded.score[row], decoded.mask_low[row, 0]
                    )
                    self._objects.setdefault(object_id, ObjectMemory()).prompt(frame, moment)
                    self._given.pop((object_id, frame), None)
                masks.append(self._upsampled(decoded.mask_low).cpu().numpy())
        return np.concatenate(masks)

    def _check_boxes(self, boxes_xyxy: F32) -> None:
        if any(point_of(box) is not None for box in boxes_xyxy):
            raise UsageError(
                "--point: these masks were trained on boxes alone (the profile embedded); expected "
                "--box, or a profile with SAM 2's own weights"
            )

    def add_mask(self, object_id: int, *, frame: int, mask: Bool) -> None:
        """Prompt with a mask (H, W); propagation returns it unchanged in that frame."""
        self._check_frame(frame)
        if mask.shape != (self._frames.height, self._frames.width):
            raise ValueError(
                f"mask of object {object_id}: found {mask.shape}, expected "
                f"{(self._frames.height, self._frames.width)}"
            )
        with self._inference():
            seen = self._features[frame]
            square = squared_mask(self._on_device(mask), side=self._image_size)
            decoded = self._passes.as_decoded(seen, square)
            features = self._passes.memories(seen, decoded.mask_low, decoded.score, given=True)
            moment = Moment(features[0], decoded.pointer[0], decoded.score[0])
            self._objects.setdefault(object_id, ObjectMemory()).prompt(frame, moment)
        self._given[object_id, frame] = mask.copy()

    def remove(self, object_id: int) -> None:
        """Forget an object."""
        self._check_objects([object_id])
        del self._objects[object_id]
        self._given = {key: mask for key, mask in self._given.items() if key[0] != object_id}

    def propagate(
        self, *, first: int, end: int, objects: Sequence[int] | None = None
    ) -> Iterator[FrameMasks]:
        """Masks of frames first, first + 1, .. end - 1, or downwards when end < first: first,
        first - 1, .. end + 1. `objects`: only these; default all that were added when a frame's
        turn comes."""
        if objects is not None:
            self._check_objects(objects)
        step = 1 if end >= first else -1
        for frame in range(first, end, step):
            self._check_frame(frame)
            ids = list(self._objects) if objects is None else list(objects)
            yield self._frame_masks(frame, ids, backwards=step < 0)

    def _frame_masks(self, frame: int, ids: list[int], *, backwards: bool) -> FrameMasks:
        """Every object's mask in one frame; the tracked ones are remembered."""
        shape = (len(ids), self._frames.height, self._frames.width)
        masks, scores = np.zeros(shape, np.bool_), np.zeros(len(ids), np.float32)
        fixed = [i for i, o in enumerate(ids) if frame in self._objects[o].prompted]
        free = [i for i in range(len(ids)) if i not in fixed]
        with self._inference():
            low, logits = [], []
            for i in fixed:
                moment = self._objects[ids[i]].prompted[frame]
                if moment.mask_low is not None:
                    low.append((i, moment.mask_low))
                logits.append((i, moment.score))
            if free:
                tracked = self._track(frame, [self._objects[ids[i]] for i in free], backwards)
                low += [(i, d[0]) for i, d in zip(free, tracked)]
                logits += [(i, d[1]) for i, d in zip(free, tracked)]
            if logits:
                seen, belief = self._read_back([mask for _, mask in low], [x for _, x in logits])
                masks[[i for i, _ in low]] = seen
                scores[[i for i, _ in logits]] = belief
        for i in fixed:
            given = self._given.get((ids[i], frame))
            if given is not None:
                masks[i] = given
        if not np.isfinite(scores).all():
            raise BadModelOutput(f"masks of {self._frames.source_id}, frame {frame}: found NaN")
        return FrameMasks(frame, np.array(ids, np.int32), masks, scores)

    def _read_back(self, low: list[torch.Tensor], logits: list[torch.Tensor]) -> tuple[Bool, F32]:
        """Masks (K, H, W) and scores in one copy from the device, which waits for it once."""
        scores = torch.stack(logits).float().sigmoid()
        shape = (len(low), self._frames.height, self._frames.width)
        if not low:
            return np.zeros(shape, np.bool_), scores.cpu().numpy()
        masks = self._upsampled(torch.stack(low)[:, None])
        both = torch.cat([scores.view(torch.uint8), masks.flatten().view(torch.uint8)]).cpu()
        n_bytes = scores.numel() * scores.element_size()
        host = both.numpy()
        return host[n_bytes:].view(np.bool_).reshape(shape), host[:n_bytes].view(np.float32)

    def _track(
        self, frame: int, memories: list[ObjectMemory], backwards: bool
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Each object's low-resolution mask logits and score logit, through its memory."""
        self._encode_prompts(memories)
        seen = self._features[frame]
        reader = self._memory_reader()
        answers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        for memory in reader.inputs(
            memories,
            frame=frame,
            backwards=backwards,
            at_most=micro_batch(self._options.object_batch),
        ):
            decoded = self._passes.decode(self._passes.remembered(seen, memory), seen.finer)
            features = self._passes.memories(seen, decoded.mask_low, decoded.score, given=False)
            for row, index in enumerate(memory.objects):
                memories[index].track(
                    frame,
                    Moment(features[row], decoded.pointer[row], decoded.score[row]),
                    features_window=reader.features_window,
                    pointers_window=reader.pointers_window,
                )
                answers[index] = decoded.mask_low[row, 0], decoded.score[row]
        return [answers[index] for index in range(len(memories))]

    def _encode_prompts(self, memories: list[ObjectMemory]) -> None:
        """Memories of prompted frames that nothing has read before, a frame's together."""
        waiting: dict[int, list[tuple[Moment, torch.Tensor]]] = {}
        for memory in memories:
            for frame, moment in memory.prompted.items():
                if moment.features is None and moment.mask_low is not None:
                    waiting.setdefault(frame, []).append((moment, moment.mask_low))
        at_most = micro_batch(self._options.object_batch)
        for frame, moments in waiting.items():
            for first in range(0, len(moments), at_most):
                part = moments[first : first + at_most]
                features = self._passes.memories(
                    self._features[frame],
                    torch.stack([mask for _, mask in part])[:, None],
                    torch.stack([moment.score for moment, _ in part]),
                    given=True,
                )
                for (moment, _), of_moment in zip(part, features, strict=True):
                    moment.features = of_moment

    def _memory_reader(self) -> MemoryReader:
        if self._reader is None:
            self._reader = MemoryReader(
                self._net,
                n_frames=len(self._frames),
                spatial_position=self._passes.memory_places(),
            )
        return self._reader

    def _upsampled(self, mask_low_B1HW: torch.Tensor) -> torch.Tensor:
        """bool (B, H, W) at working size: logits are resized edge to edge, then cut at 0."""
        size = (self._frames.height, self._frames.width)
        return F.interpolate(mask_low_B1HW.float(), size, mode="bilinear")[:, 0] > 0

    def _on_device(self, values: npt.NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(values).to(self._device)

    def _narrows_products(self) -> bool:
        return self._device == "cpu" and self._options.dtype in ("bf16", "bfloat16")

    def _inference(self) -> AbstractContextManager[None]:
        dtype = "float32" if self._narrows_products() else self._options.dtype
        return inference(dtype, device=self._device, auto="bfloat16")

    def _check_frame(self, frame: int) -> None:
        if not 0 <= frame < len(self._frames):
            raise ValueError(f"frame {frame}: the clip has frames 0..{len(self._frames) - 1}")

    def _check_objects(self, ids: Sequence[int]) -> None:
        unknown = [i for i in ids if i not in self._objects]
        if unknown:
            raise ValueError(f"objects {unknown}: never added; known: {sorted(self._objects)}")


@dataclass(frozen=True)
class LoadedSam2:
    net: Any
    encoder: HieraEncoder
    """The network's, or a compiled one."""
    normalize: Normalization
    device: str
    card: ModelCard
    passes: type[ObjectPasses] = ObjectPasses
    """A relative of SAM 2 has others."""
