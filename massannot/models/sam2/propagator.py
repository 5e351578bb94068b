"""SAM 2 (and 2.1) as a MaskPropagator: objects prompted by a box or mask, followed both ways.

Runs on the network's own modules rather than transformers' inference session: frames are read and
encoded when needed, memory is bounded, objects may come and go at any time without a reset, and
several go through the network together. A test holds it equal to that session, number for number.
Source: Ravi et al. 2024, arXiv:2408.00714, through transformers' port.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from massannot.clip import Frames
from massannot.errors import BadModelOutput
from massannot.models.networks import Dtype, frames_on, inference, load_network, n_parameters
from massannot.models.preprocess import Normalization, normalization_from, processor_config
from massannot.models.protocols import FrameMasks, MaskSession, ModelCard
from massannot.models.runtime import micro_batch
from massannot.models.sam2.features import (
    ClipFeatures,
    FrameFeatures,
    box_corners,
    box_logits,
    squared_mask,
)
from massannot.models.sam2.memory import MemoryInput, MemoryReader, Moment, ObjectMemory
from massannot.models.weights import Weights, find

Bool = npt.NDArray[np.bool_]
F32 = npt.NDArray[np.float32]

ABSENT = -1024.0
"""Mask logit where the network says that the object is not in the picture."""

GIVEN_SCORE = 10.0
"""Object logit of a frame whose mask was given, and its negative for an empty mask."""

BOX_CORNERS = (2, 3)
"""Point labels of a box's first and second corner."""


@dataclass
class Sam2Video:
    """Options; `setup` loads the weights."""

    weights: Weights
    box_as_mask: bool = False
    """Give the box also as a dense mask prompt: what small networks learn from."""
    encode_batch: int = 0
    """Frames per pass of the image encoder; 0: one on the CPU, eight on CUDA."""
    object_batch: int = 16
    """Objects per pass of the memory and the mask decoder."""
    dtype: Dtype = "auto"
    """auto on CUDA: bfloat16, as the authors run it."""
    compile: bool = False
    """torch.compile on the image encoder."""
    _loaded: _LoadedSam2 | None = field(default=None, init=False, repr=False, compare=False)

    def setup(self, *, device: str) -> None:
        """Load weights onto `device`. Raises MissingWeights."""
        from transformers import Sam2VideoModel

        local = find(self.weights)
        net = load_network(Sam2VideoModel, local, device=device)
        card = local.card(name="sam2_video", n_parameters=n_parameters(net))
        if self.compile:
            net.vision_encoder = torch.compile(net.vision_encoder)
        self._loaded = _LoadedSam2(
            net, normalization_from(processor_config(local.folder)), device, card
        )

    def destroy(self) -> None:
        """Give memory back."""
        self._loaded = None

    def card(self) -> ModelCard:
        """The identity of the weights; complete after `setup`."""
        if self._loaded is None:
            return ModelCard("sam2_video", str(self.weights), self.weights.revision)
        return self._loaded.card

    def session(self, frames: Frames) -> Sam2Session:
        """A fresh session over one clip; pictures are read when needed."""
        if self._loaded is None:
            raise RuntimeError("Sam2Video: setup() comes before session()")
        return Sam2Session(self._loaded, self, frames)


class Sam2Session(MaskSession):
    """One clip's objects. A prompt always starts afresh from its frame's picture: a second prompt
    of an object adds one more frame that is remembered for ever."""

    def __init__(self, loaded: _LoadedSam2, options: Sam2Video, frames: Frames):
        self._net = loaded.net
        self._device = loaded.device
        self._options = options
        self._frames = frames
        self._image_size = int(loaded.net.prompt_encoder.input_image_size)
        block = micro_batch(options.encode_batch or (8 if loaded.device.startswith("cuda") else 1))
        self._features = ClipFeatures(
            loaded.net,
            frames_on(frames, loaded.device),
            image_size=self._image_size,
            normalize=loaded.normalize,
            block=block,
            kept_blocks=max(2, 8 // block),
        )
        self._reader: MemoryReader | None = None
        self._objects: dict[int, ObjectMemory] = {}
        self._given: dict[tuple[int, int], Bool] = {}

    def add_box(self, object_id: int, *, frame: int, box_xyxy: F32) -> Bool:
        """Prompt a new object; returns its mask (H, W) in that frame."""
        self._check_frame(frame)
        size = {"width": self._frames.width, "height": self._frames.height}
        corners = box_corners(box_xyxy, **size, side=self._image_size)
        grid = self._net.prompt_encoder.mask_input_size
        dense = box_logits(box_xyxy, **size, grid=grid) if self._options.box_as_mask else None
        with self._inference():
            seen = self._features[frame]
            decoded = self._decode(
                _as_map(seen.coarse + self._net.no_memory_embedding, self._net),
                seen.finer,
                corners=self._on_device(corners),
                dense=None if dense is None else self._on_device(dense),
            )
            moment = self._moment(seen, decoded, given=True)[0]
            moment.mask_low = decoded.mask_low[0, 0]
            self._objects.setdefault(object_id, ObjectMemory()).prompt(frame, moment)
            self._given.pop((object_id, frame), None)
            mask = self._upsampled(decoded.mask_low)[0].cpu().numpy()
        return np.asarray(mask, np.bool_)

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
            decoded = self._as_decoded(seen, mask)
            moment = self._moment(seen, decoded, given=True)[0]
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
            if low:
                up = self._upsampled(torch.stack([mask for _, mask in low])[:, None])
                masks[[i for i, _ in low]] = up.cpu().numpy()
            if logits:
                stacked = torch.stack([logit for _, logit in logits]).float()
                scores[[i for i, _ in logits]] = stacked.sigmoid().cpu().numpy()
        for i in fixed:
            given = self._given.get((ids[i], frame))
            if given is not None:
                masks[i] = given
        if not np.isfinite(scores).all():
            raise BadModelOutput(f"masks of {self._frames.source_id}, frame {frame}: found NaN")
        return FrameMasks(frame, np.array(ids, np.int32), masks, scores)

    def _track(
        self, frame: int, memories: list[ObjectMemory], backwards: bool
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Each object's low-resolution mask logits and score logit, through its memory."""
        seen = self._features[frame]
        reader = self._memory_reader(seen)
        answers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        for memory in reader.inputs(
            memories,
            frame=frame,
            backwards=backwards,
            at_most=micro_batch(self._options.object_batch),
        ):
            decoded = self._decode(self._remembered(seen, memory), seen.finer)
            for index, moment in zip(memory.objects, self._moment(seen, decoded, given=False)):
                memories[index].track(
                    frame,
                    moment,
                    features_window=reader.features_window,
                    pointers_window=reader.pointers_window,
                )
            for row, index in enumerate(memory.objects):
                answers[index] = decoded.mask_low[row, 0], decoded.score[row]
        return [answers[index] for index in range(len(memories))]

    def _remembered(self, seen: FrameFeatures, memory: MemoryInput) -> torch.Tensor:
        """(B, C, h, w): the frame's features after looking into each object's memory."""
        n = len(memory.objects)
        out = self._net.memory_attention(
            current_vision_features=seen.coarse.expand(-1, n, -1),
            current_vision_position_embeddings=seen.position.expand(-1, n, -1),
            memory=memory.memory,
            memory_posision_embeddings=memory.position,  # the library's spelling
            num_object_pointer_tokens=memory.n_pointer_tokens,
        )
        return _as_map(out.reshape(n, -1, self._net.hidden_dim).transpose(0, 1), self._net)

    def _decode(
        self,
        coarse_BCHW: torch.Tensor,
        finer: tuple[torch.Tensor, ...],
        *,
        corners: torch.Tensor | None = None,
        dense: torch.Tensor | None = None,
    ) -> _Decoded:
        """The mask decoder for B objects; without a prompt it takes the best of its masks."""
        net, n = self._net, len(coarse_BCHW)
        n_points = 0 if corners is None else corners.shape[2]
        if corners is None:
            points = torch.zeros(n, 1, 1, 2, device=self._device)
            labels = -torch.ones(n, 1, 1, dtype=torch.int32, device=self._device)
        else:
            points = corners
            labels = torch.tensor(BOX_CORNERS, dtype=torch.int32, device=self._device)
            labels = labels.expand(n, 1, -1)
        sparse, dense_embedding = net.prompt_encoder(
            input_points=points, input_labels=labels, input_boxes=None, input_masks=dense
        )
        several = self._several_masks(n_points, prompted=corners is not None or dense is not None)
        masks, ious, tokens, score = net.mask_decoder(
            image_embeddings=coarse_BCHW,
            image_positional_embeddings=net.get_image_wide_positional_embeddings().expand(
                n, -1, -1, -1
            ),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense_embedding,
            multimask_output=several,
            high_resolution_features=[m.expand(n, -1, -1, -1) for m in finer],
        )
        best = (
            ious[:, 0].argmax(-1) if several else torch.zeros_like(ious[:, 0, 0], dtype=torch.int64)
        )
        row = torch.arange(n, device=self._device)
        token = tokens[row, 0, best if tokens.shape[2] > 1 else torch.zeros_like(best)]
        return self._gated(masks[row, 0, best][:, None], token, score[:, 0, 0])

    def _gated(self, mask_low: torch.Tensor, token: torch.Tensor, score: torch.Tensor) -> _Decoded:
        """Masks emptied and pointers replaced where the object is said to be absent."""
        present = (score > 0)[:, None]
        pointer = self._net.object_pointer_proj(token)
        pointer = torch.where(present, pointer, self._net.no_object_pointer)
        mask_low = torch.where(present[..., None, None], mask_low.float(), ABSENT)
        return _Decoded(mask_low, pointer.float(), score.float())

    def _as_decoded(self, seen: FrameFeatures, mask: Bool) -> _Decoded:
        """A given mask in the place of the decoder's answer; the pointer still comes from it."""
        square = squared_mask(self._on_device(mask), side=self._image_size)
        decoded = self._decode_given(seen, self._net.mask_downsample(square))
        present = square.flatten(1).any(dim=1)
        pointer = torch.where(present[:, None], decoded, self._net.no_object_pointer.float())
        score = torch.where(present, GIVEN_SCORE, -GIVEN_SCORE)
        return _Decoded(square * 2 * GIVEN_SCORE - GIVEN_SCORE, pointer, score)

    def _decode_given(self, seen: FrameFeatures, dense: torch.Tensor) -> torch.Tensor:
        """(1, C) pointer of a dense prompt, without the "no memory" embedding, as trained."""
        return self._decode(_as_map(seen.coarse, self._net), seen.finer, dense=dense).pointer

    def _moment(self, seen: FrameFeatures, decoded: _Decoded, *, given: bool) -> list[Moment]:
        """The moments of B objects for their memory: prompted masks hard, tracked ones soft."""
        net, n = self._net, len(decoded.score)
        size = (self._image_size, self._image_size)
        mask = decoded.mask_low
        if tuple(mask.shape[-2:]) != size:
            mask = F.interpolate(mask, size, mode="bilinear")
        ink = (mask > 0).float() if given else mask.sigmoid()
        ink = ink * net.config.sigmoid_scale_for_mem_enc + net.config.sigmoid_bias_for_mem_enc
        features, _ = net.memory_encoder(_as_map(seen.coarse.expand(-1, n, -1), net), ink)
        hidden = net.occlusion_spatial_embedding_parameter
        if hidden is not None:
            absent = (decoded.score <= 0).to(features.dtype)[:, None, None, None]
            features = features + absent * hidden[..., None, None]
        flat = features.flatten(2).transpose(1, 2).to(torch.bfloat16)
        return [Moment(flat[i], decoded.pointer[i], decoded.score[i]) for i in range(n)]

    def _memory_reader(self, seen: FrameFeatures) -> MemoryReader:
        if self._reader is None:
            height, width = self._net.backbone_feature_sizes[-1]
            shape = torch.Size((1, self._net.mem_dim, height, width))
            position = self._net.memory_encoder.position_encoding(
                shape, seen.coarse.device, torch.float32
            )
            self._reader = MemoryReader(
                self._net,
                n_frames=len(self._frames),
                spatial_position=position.flatten(2)[0].transpose(0, 1),
            )
        return self._reader

    def _several_masks(self, n_points: int, *, prompted: bool) -> bool:
        """Whether the decoder chooses among its ambiguous masks: as configured for this many
        points, and while tracking only if configured so."""
        config = self._net.config
        fits = config.multimask_min_pt_num <= n_points <= config.multimask_max_pt_num
        return bool(
            config.multimask_output_in_sam
            and (prompted or config.multimask_output_for_tracking)
            and fits
        )

    def _upsampled(self, mask_low_B1HW: torch.Tensor) -> torch.Tensor:
        """bool (B, H, W) at working size: logits are resized edge to edge, then cut at 0."""
        size = (self._frames.height, self._frames.width)
        return F.interpolate(mask_low_B1HW.float(), size, mode="bilinear")[:, 0] > 0

    def _on_device(self, values: npt.NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(values).to(self._device)

    def _inference(self) -> AbstractContextManager[None]:
        return inference(self._options.dtype, device=self._device, auto="bfloat16")

    def _check_frame(self, frame: int) -> None:
        if not 0 <= frame < len(self._frames):
            raise ValueError(f"frame {frame}: the clip has frames 0..{len(self._frames) - 1}")

    def _check_objects(self, ids: Sequence[int]) -> None:
        unknown = [i for i in ids if i not in self._objects]
        if unknown:
            raise ValueError(f"objects {unknown}: never added; known: {sorted(self._objects)}")


@dataclass(frozen=True, eq=False)
class _Decoded:
    """B objects: mask logits (B, 1, h', w'), pointer (B, C), score logit (B,); all float32."""

    mask_low: torch.Tensor
    pointer: torch.Tensor
    score: torch.Tensor


@dataclass(frozen=True)
class _LoadedSam2:
    net: Any
    normalize: Normalization
    device: str
    card: ModelCard


def _as_map(flat: torch.Tensor, net: Any) -> torch.Tensor:
    """(B, C, h, w) from (h w, B, C)."""
    return flat.permute(1, 2, 0).unflatten(-1, tuple(net.backbone_feature_sizes[-1]))
