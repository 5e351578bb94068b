"""The passes of SAM 2 after its image encoder, for B objects of one picture at once: looking into
their memories, decoding their masks, and making new memories.

What does not depend on the object is computed once: the places of the picture, the empty prompt,
and the picture's own part of a memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from massannot.models.sam2.attention import MemoryAttention
from massannot.models.sam2.hiera import FrameFeatures, HieraEncoder
from massannot.models.sam2.mask_decoder import MaskDecoder, MaskPrompt
from massannot.models.sam2.memory import MemoryInput
from massannot.models.sam2.memory_encoder import MemoryEncoder

ABSENT = -1024.0
"""Mask logit where the network says that the object is not in the picture."""

GIVEN_SCORE = 10.0
"""Object logit of a frame whose mask was given, and its negative for an empty mask."""

BOX_CORNERS = (2, 3)
"""Point labels of a box's first and second corner."""
ON_THE_THING = (1,)
"""That of a point."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """B objects: mask logits (B, 1, h', w'), pointer (B, C), score logit (B,); all float32."""

    mask_low: torch.Tensor
    pointer: torch.Tensor
    score: torch.Tensor


class ObjectPasses:
    """The passes of one network on one device, for one clip."""

    def __init__(
        self, net: Any, encoder: HieraEncoder, *, device: str, products: torch.dtype | None = None
    ):
        """`products`: see MemoryAttention."""
        self._net = net
        self._device = device
        self._attention = self._memory_attention(products)
        self._memory_encoder = MemoryEncoder(net)
        places = net.get_image_wide_positional_embeddings()
        self._decoder = MaskDecoder(net, _as_tokens(places)[0])
        self._position = encoder.position
        points = torch.zeros(1, 1, 1, 2, device=device)
        labels = -torch.ones(1, 1, 1, dtype=torch.int32, device=device)
        self._no_points, self._no_mask = self._embedded(points, labels, None)
        self._no_prompt = self._decoder.prompt(self._no_points, self._no_mask)
        self._labels = {
            len(labels): torch.tensor(labels, dtype=torch.int32, device=device)
            for labels in (BOX_CORNERS, ON_THE_THING)
        }

    def unremembered(self, seen: FrameFeatures) -> torch.Tensor:
        """(1, N, C): a picture as the decoder knows it without a memory."""
        unremembered: torch.Tensor = seen.coarse + self._net.no_memory_embedding
        return unremembered

    def remembered(self, seen: FrameFeatures, memory: MemoryInput) -> torch.Tensor:
        """(B, N, C): the picture after looking into each object's memory."""
        return self._attention(
            seen.coarse,
            self._position,
            memory.memory,
            memory.position,
            n_pointer_tokens=memory.n_pointer_tokens,
        )

    def decode(
        self,
        coarse_BNC: torch.Tensor,
        finer: Sequence[torch.Tensor],
        *,
        corners: torch.Tensor | None = None,
        dense: torch.Tensor | None = None,
    ) -> Decoded:
        """The mask decoder; without a prompt it takes the best of its masks. `corners`
        (B, 1, 2, 2) of boxes, or points (B, 1, 1, 2), `dense` (B, 1, h', w') logits; one picture is
        given to all."""
        given = corners is not None or dense is not None
        n_points = 0 if corners is None else corners.shape[2]
        prompt = self._prompt(corners, dense) if given else self._no_prompt
        several = self._several_masks(n_points, prompted=given)
        masks, quality, tokens, score = self._decoder(coarse_BNC, finer, prompt, several=several)
        if not several:
            return self._gated(masks, tokens[:, 0], score[:, 0])
        row, best = torch.arange(len(masks), device=self._device), quality.argmax(-1)
        return self._gated(masks[row, best][:, None], tokens[row, best], score[:, 0])

    def as_decoded(self, seen: FrameFeatures, square_11SS: torch.Tensor) -> Decoded:
        """A given mask, 0 or 1, in the place of the decoder's answer; the pointer still comes from
        the decoder, without the "no memory" embedding, as trained."""
        dense = self._net.mask_downsample(square_11SS)
        decoded = self.decode(seen.coarse, seen.finer, dense=dense).pointer
        present = square_11SS.flatten(1).any(dim=1)
        pointer = torch.where(present[:, None], decoded, self._net.no_object_pointer.float())
        score = torch.where(present, GIVEN_SCORE, -GIVEN_SCORE)
        return Decoded(square_11SS * 2 * GIVEN_SCORE - GIVEN_SCORE, pointer, score)

    def memories(
        self, seen: FrameFeatures, mask_low: torch.Tensor, score: torch.Tensor, *, given: bool
    ) -> torch.Tensor:
        """(B, L, M) tokens: prompted masks hard, tracked ones soft."""
        side = int(self._net.prompt_encoder.input_image_size)
        mask = mask_low
        if tuple(mask.shape[-2:]) != (side, side):
            mask = F.interpolate(mask, (side, side), mode="bilinear")
        ink = (mask > 0).float() if given else mask.sigmoid()
        features = self._memory_encoder(seen.coarse, ink)
        hidden = self._net.occlusion_spatial_embedding_parameter
        if hidden is not None:
            absent = (score <= 0).to(features.dtype)[:, None, None]
            features = torch.addcmul(features, absent, hidden.to(features.dtype))
        return self._memory_tokens(features)

    def memory_places(self) -> torch.Tensor:
        """(L, M): the encoding of the places of a memory's tokens, the same for all."""
        return self._memory_grid().flatten(2)[0].transpose(0, 1)

    def _memory_attention(self, products: torch.dtype | None) -> MemoryAttention:
        return MemoryAttention(self._net, products=products)

    def _memory_tokens(self, features_BNM: torch.Tensor) -> torch.Tensor:
        """(B, N, M) in bfloat16, as the network was trained to read them."""
        return features_BNM.to(torch.bfloat16)

    def _memory_grid(self) -> torch.Tensor:
        """(1, M, h, w): the encoding of the places of the memory encoder's answer."""
        height, width = self._net.backbone_feature_sizes[-1]
        shape = torch.Size((1, self._net.mem_dim, height, width))
        encoding = self._net.memory_encoder.position_encoding
        position: torch.Tensor = encoding(shape, self._position.device, torch.float32)
        return position

    def _prompt(self, corners: torch.Tensor | None, dense: torch.Tensor | None) -> MaskPrompt:
        sparse, embedded = self._no_points, self._no_mask
        if corners is not None:
            labels = self._labels[corners.shape[2]].expand(len(corners), 1, -1)
            sparse, _ = self._embedded(corners, labels, None)
        if dense is not None:
            embedded = _as_tokens(self._net.prompt_encoder.mask_embed(dense))
        return self._decoder.prompt(sparse, embedded)

    def _embedded(
        self, points: torch.Tensor, labels: torch.Tensor, dense: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, T, C) of points and (B, N, C) of masks."""
        sparse, dense_embedding = self._net.prompt_encoder(
            input_points=points, input_labels=labels, input_boxes=None, input_masks=dense
        )
        return sparse[:, 0], _as_tokens(dense_embedding)

    def _gated(self, mask_low: torch.Tensor, token: torch.Tensor, score: torch.Tensor) -> Decoded:
        """Masks emptied and pointers replaced where the object is said to be absent."""
        present = (score > 0)[:, None]
        pointer = self._net.object_pointer_proj(token)
        pointer = torch.where(present, pointer, self._net.no_object_pointer)
        mask_low = torch.where(present[..., None, None], mask_low.float(), ABSENT)
        return Decoded(mask_low, pointer.float(), score.float())

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


def _as_tokens(maps_BCHW: torch.Tensor) -> torch.Tensor:
    """(B, h w, C)."""
    return maps_BCHW.flatten(2).transpose(1, 2)
