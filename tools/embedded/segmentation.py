"""Tiny SAM 2 video: configuration, loss, batches and validation, the memory path included.

Unusual: a box is also given as a dense mask prompt, a native input without which so small a network
does not learn boxes. The first IMAGE_STEPS train single pictures; after that most batches are
clips, rolled out through the very memory that inference reads (`models/sam2/memory.py`). Masks are
not gated by the object score while training: the gate has no gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from torch import Tensor
from transformers.models.sam2_video.configuration_sam2_video import (
    Sam2VideoMaskDecoderConfig,
    Sam2VideoPromptEncoderConfig,
)

from massannot.models.preprocess import Normalization, resized
from massannot.models.sam2.memory import MemoryReader, Moment, ObjectMemory
from tools.embedded.initial import drawn_afresh
from tools.embedded.memory_start import start_memory
from tools.embedded.pool import Pool, boxes_and_areas

H, W = 128, 160
SIDE = 320
HIDDEN = 128
MEMORY_CHANNELS = 64
IMAGE_STEPS = 700
MEMORIES = 5
CLIP_FRAMES = (2, 3, 4, 6, 8)
OBJECTS = 6
"""Of one picture: what differs between them is all that teaches the memory."""
ALIGNED_ON = 24
SMALLEST_PROMPT_PX = 25
BOX_JITTER = 0.04
NORMALIZE = Normalization()
pool_of = partial(Pool, depth=False)


def network() -> transformers.Sam2VideoModel:
    widths = [32, 64, 96, 128]
    backbone = transformers.Sam2HieraDetConfig(
        image_size=[SIDE, SIDE], hidden_size=32, num_attention_heads=1,
        blocks_per_stage=[1, 1, 3, 1], embed_dim_per_stage=widths,
        num_attention_heads_per_stage=[1, 2, 3, 4], window_size_per_stage=[8, 4, 12, 6],
        global_attention_blocks=[3, 4], window_positional_embedding_background_size=[7, 7],
        mlp_ratio=3.0,
    )  # fmt: skip
    vision = transformers.Sam2VisionConfig(
        backbone_config=backbone, backbone_channel_list=widths[::-1], fpn_hidden_size=HIDDEN,
        backbone_feature_sizes=[[SIDE // 4] * 2, [SIDE // 8] * 2, [SIDE // 16] * 2],
    )  # fmt: skip
    prompt = Sam2VideoPromptEncoderConfig(hidden_size=HIDDEN, image_size=SIDE, patch_size=16)
    decoder = Sam2VideoMaskDecoderConfig(
        hidden_size=HIDDEN, mlp_dim=256, num_hidden_layers=2, num_attention_heads=4,
        iou_head_hidden_dim=64, dynamic_multimask_via_stability=False,
    )  # fmt: skip
    # One mask, never three: the others would be chosen at inference and stay untrained. Five
    # memories instead of seven, so that every age is met in a training clip.
    config = transformers.Sam2VideoConfig(
        vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder,
        image_size=SIDE, num_maskmem=MEMORIES,
        max_object_pointers_in_encoder=MEMORIES, multimask_output_in_sam=False,
        multimask_output_for_tracking=False, memory_attention_hidden_size=HIDDEN,
        memory_attention_num_layers=2, memory_attention_feed_forward_hidden_size=HIDDEN,
        memory_attention_rope_feat_sizes=[SIDE // 16] * 2, memory_attention_dropout=0.0,
        memory_attention_rope_dropout=0.0, memory_encoder_hidden_size=HIDDEN,
        memory_encoder_output_channels=MEMORY_CHANNELS, mask_downsampler_embed_dim=HIDDEN,
        memory_fuser_embed_dim=HIDDEN, memory_fuser_intermediate_dim=256,
        memory_fuser_layer_scale_init_value=0.1,
    )  # fmt: skip
    net = transformers.Sam2VideoModel(config)
    drawn_afresh(net)
    for layer in net.memory_encoder.memory_fuser.layers:
        layer.scale.data.fill_(0.1)  # left at zero by transformers, whatever the option says
    places = net.prompt_encoder.shared_embedding.positional_embedding
    places.copy_(net.shared_image_embedding.positional_embedding)  # drawn twice, meant as one
    return net


def start_again(net: Any, pool: Pool) -> None:
    """The memory drawn anew and aligned on the pool's first pictures (`memory_start.py`)."""
    drawn = _draw(pool, np.random.default_rng(0), ALIGNED_ON, frames=1, as_mask=False)
    first = [int((drawn.clip == picture).nonzero()[0]) for picture in range(ALIGNED_ON)]
    start_memory(net, drawn.values, drawn.masks[first, 0])


def rate_factor(name: str) -> float:
    """The memory path starts when the rest is already good, and learns faster."""
    late = ("memory", "pointer", "occlusion", "temporal", "mask_downsample")
    return 1.0 if any(part in name for part in late) else 0.7


@dataclass(frozen=True, eq=False)
class Drawn:
    """B clips of T frames and N objects. T = 1: single pictures."""

    values: Tensor
    """(B T, 3, SIDE, SIDE), a clip's frames together."""
    masks: Tensor
    """(N, T, H, W) bool."""
    boxes_xyxy: Tensor
    """(N, 4) float in pixels, around the mask of the first frame, a little off."""
    clip: Tensor
    """(N,)."""
    as_mask: bool
    """Prompt with the mask instead of the box."""

    @property
    def n_frames(self) -> int:
        return self.masks.shape[1]

    def to(self, device: str) -> Drawn:
        moved = (t.to(device) for t in (self.values, self.masks, self.boxes_xyxy, self.clip))
        return Drawn(*moved, self.as_mask)


def batch(pool: Pool, rng: np.random.Generator, size: int, step: int) -> tuple[Drawn]:
    """`size` pictures; in the second part, mostly about as many in clips of CLIP_FRAMES."""
    if step < IMAGE_STEPS or rng.random() < 0.2:
        return (_draw(pool, rng, size, frames=1, as_mask=rng.random() < 0.1),)
    frames = int(rng.choice(CLIP_FRAMES))
    clips = max(1, size // frames)
    return (_draw(pool, rng, clips, frames=frames, as_mask=rng.random() < 0.2),)


def _draw(pool: Pool, rng: np.random.Generator, size: int, *, frames: int, as_mask: bool) -> Drawn:
    rgb, masks, boxes, clip = [], [], [], []
    while len(rgb) < size:
        shots, row = pool.scenes[rng.integers(len(pool.scenes))]
        length = shots.rgb.shape[1]
        if length < frames:
            continue
        order = rng.integers(0, length - frames + 1) + np.arange(frames)
        if rng.random() < 0.5:  # with gaps
            order = np.sort(rng.choice(length, frames, replace=False))
        if rng.random() < 0.5:
            order = order[::-1]
        ids, pictures = shots.ids[row, order], shots.rgb[row, order]
        if rng.random() < 0.5:
            ids, pictures = ids[:, :, ::-1], pictures[:, :, ::-1]
        around, areas = boxes_and_areas(ids[0])
        bodies = rng.permutation(np.flatnonzero(areas >= SMALLEST_PROMPT_PX))
        if not len(bodies):
            continue
        for body in bodies[:OBJECTS]:
            box = around[body]
            side = np.tile(box[2:] - box[:2], 2)
            boxes.append(box + rng.normal(0, BOX_JITTER, 4) * side)
            masks.append(ids == body + 1)
            clip.append(len(rgb))
        rgb.append(pictures)
    values = _values(torch.from_numpy(np.concatenate(rgb)))
    gain = torch.from_numpy(rng.normal(1, 0.1, (size, 1, 1, 1)).astype(np.float32))
    shift = torch.from_numpy(rng.normal(0, 0.1, (size, 3, 1, 1)).astype(np.float32))
    values = values * gain.repeat_interleave(frames, 0) + shift.repeat_interleave(frames, 0)
    return Drawn(
        values,
        torch.from_numpy(np.stack(masks)),
        torch.from_numpy(np.stack(boxes).astype(np.float32)),
        torch.tensor(clip),
        as_mask,
    )


def _values(rgb_BHWC: Tensor) -> Tensor:
    levels = resized(rgb_BHWC, height=SIDE, width=SIDE, interpolation="bilinear")
    return NORMALIZE(levels.float())


@dataclass(frozen=True, eq=False)
class Answer:
    """N objects in one frame: mask logits (N, h', w'), score logits (N,), IoU guesses (N,)."""

    mask_low: Tensor
    score: Tensor
    iou: Tensor


def loss(net: Any, drawn: Drawn) -> tuple[Tensor, dict[str, float]]:
    """Masks where the object is seen, the object score everywhere."""
    total = torch.zeros((), device=drawn.values.device)
    parts: dict[str, float] = {}
    answers = roll_out(net, drawn)
    for t, answer in enumerate(answers):
        truth = drawn.masks[:, t].float()
        present = (truth.flatten(1).sum(1) > 4).float()
        score = F.binary_cross_entropy_with_logits(answer.score, present)
        if t == 0 and drawn.as_mask and drawn.n_frames > 1:
            continue  # given, not found
        side = (SIDE // 2, SIDE // 2)
        wanted = F.interpolate(truth[:, None], side, mode="area")[:, 0]
        predicted = F.interpolate(answer.mask_low[:, None], side, mode="bilinear")[:, 0]
        per_object = (
            _mask_loss(predicted, wanted) + 0.1 * (answer.iou - _iou(predicted, wanted)).abs()
        )
        mask = (per_object * present).sum() / present.sum().clamp(min=1)
        total = total + (mask + 0.5 * score) / len(answers)
        name = "first" if t == 0 else "later"
        parts[name] = parts.get(name, 0.0) + mask.item() / (1 if t == 0 else len(answers) - 1)
        parts["score"] = parts.get("score", 0.0) + score.item() / len(answers)
    return total, parts


def _mask_loss(logits_NHW: Tensor, wanted_NHW: Tensor) -> Tensor:
    """(N,) focal, cross entropy and Dice."""
    p = logits_NHW.sigmoid()
    entropy = F.binary_cross_entropy_with_logits(logits_NHW, wanted_NHW, reduction="none")
    sure = p * wanted_NHW + (1 - p) * (1 - wanted_NHW)
    weight = 0.7 * wanted_NHW + 0.3 * (1 - wanted_NHW)
    focal = 10 * (weight * entropy * (1 - sure) ** 2).mean((1, 2)) + entropy.mean((1, 2))
    shared = (p * wanted_NHW).sum((1, 2))
    dice = 1 - (2 * shared + 1) / (p.sum((1, 2)) + wanted_NHW.sum((1, 2)) + 1)
    return focal + dice


def _iou(logits_NHW: Tensor, wanted_NHW: Tensor) -> Tensor:
    with torch.no_grad():
        predicted, true = logits_NHW > 0, wanted_NHW > 0.5
        return (predicted & true).sum((1, 2)) / (predicted | true).sum((1, 2)).clamp(min=1)


def roll_out(net: Any, drawn: Drawn) -> list[Answer]:
    """Every frame's answer: the first prompted, the later ones through memory."""
    T, N = drawn.n_frames, len(drawn.clip)
    features = net.get_image_features(drawn.values, return_dict=True)
    *finer, coarse = features.fpn_hidden_states  # (h w, B T, C) each
    sizes = net.backbone_feature_sizes
    maps = [x.permute(1, 2, 0).unflatten(-1, tuple(s)) for x, s in zip(finer, sizes)]
    position = features.fpn_position_encoding[-1][:, :1]
    memories = [ObjectMemory() for _ in range(N)]
    reader = _reader(net, coarse.device) if T > 1 else None
    answers = []
    for t in range(T):
        index = drawn.clip * T + t
        here, details = coarse[:, index], [m[index] for m in maps]
        if t == 0:
            answer, token = _prompted(net, drawn, here, details)
        else:
            answer, token = _remembered(net, reader, memories, t, here, position, details)
        answers.append(answer)
        if t + 1 < T:
            given = drawn.masks[:, 0] if t == 0 and drawn.as_mask else None
            for memory, moment in zip(memories, _moments(net, here, answer, token, t, given)):
                if t == 0:
                    memory.prompt(0, moment)
                else:
                    memory.recent[t] = moment
    return answers


def _reader(net: Any, device: torch.device) -> MemoryReader:
    shape = torch.Size((1, net.mem_dim, *net.backbone_feature_sizes[-1]))
    spatial = net.memory_encoder.position_encoding(shape, device, torch.float32)
    return MemoryReader(net, n_frames=48, spatial_position=spatial.flatten(2)[0].transpose(0, 1))


def _prompted(net: Any, drawn: Drawn, here: Tensor, details: list[Tensor]) -> tuple[Answer, Tensor]:
    if drawn.as_mask:
        full = drawn.masks[:, :1].float()
        square = F.interpolate(full, (SIDE, SIDE), mode="bilinear", antialias=True)
        inside = (square >= square.amax((2, 3), keepdim=True).clamp(max=0.5)) & (square > 0)
        return _decode(net, _as_map(net, here), details, dense=net.mask_downsample(inside.float()))
    scale = drawn.boxes_xyxy.new_tensor([SIDE / W, SIDE / H])
    corners = drawn.boxes_xyxy.reshape(-1, 1, 2, 2) * scale - 0.5
    return _decode(
        net, _as_map(net, here + net.no_memory_embedding), details, corners=corners,
        dense=_box_masks(net, drawn.boxes_xyxy),
    )  # fmt: skip


def _remembered(
    net: Any, reader: MemoryReader | None, memories: list[ObjectMemory], t: int, here: Tensor,
    position: Tensor, details: list[Tensor],
) -> tuple[Answer, Tensor]:  # fmt: skip
    assert reader is not None
    (memory,) = reader.inputs(memories, frame=t, backwards=False, at_most=len(memories))
    n = len(memories)
    out = net.memory_attention(
        current_vision_features=here,
        current_vision_position_embeddings=position.expand(-1, n, -1),
        memory=memory.memory.transpose(0, 1),
        memory_posision_embeddings=memory.position.transpose(0, 1),
        num_object_pointer_tokens=memory.n_pointer_tokens,
    )
    return _decode(net, _as_map(net, out.reshape(n, -1, HIDDEN).transpose(0, 1)), details)


def _decode(
    net: Any, image: Tensor, details: list[Tensor], *, corners: Tensor | None = None,
    dense: Tensor | None = None,
) -> tuple[Answer, Tensor]:  # fmt: skip
    n = len(image)
    if corners is None:
        corners = image.new_zeros(n, 1, 1, 2)
        labels = -torch.ones(n, 1, 1, dtype=torch.int32, device=image.device)
    else:
        labels = torch.tensor([2, 3], dtype=torch.int32, device=image.device).expand(n, 1, -1)
    sparse, dense_embedding = net.prompt_encoder(
        input_points=corners, input_labels=labels, input_boxes=None, input_masks=dense
    )
    places = net.get_image_wide_positional_embeddings()
    masks, ious, tokens, score = net.mask_decoder(
        image_embeddings=image,
        image_positional_embeddings=places.expand(n, -1, -1, -1),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense_embedding,
        multimask_output=False,
        high_resolution_features=details,
    )
    return Answer(masks[:, 0, 0], score[:, 0, 0], ious[:, 0, 0]), tokens[:, 0, 0]


def _moments(
    net: Any, here: Tensor, answer: Answer, token: Tensor, t: int, given: Tensor | None
) -> list[Moment]:
    size = (SIDE, SIDE)
    present = answer.score > 0
    if given is not None:
        mask = F.interpolate(given[:, None].float(), size, mode="bilinear", antialias=True) - 0.5
        present = torch.ones_like(present)
    else:
        mask = F.interpolate(answer.mask_low[:, None], size, mode="bilinear")
    ink = (mask > 0).float() if t == 0 else mask.sigmoid()
    ink = ink * net.config.sigmoid_scale_for_mem_enc + net.config.sigmoid_bias_for_mem_enc
    features, _ = net.memory_encoder(_as_map(net, here), ink)
    absent = (~present).float()[:, None, None, None]
    features = features + absent * net.occlusion_spatial_embedding_parameter[..., None, None]
    pointer = torch.where(present[:, None], net.object_pointer_proj(token), net.no_object_pointer)
    flat = features.flatten(2).transpose(1, 2)
    return [Moment(flat[i], pointer[i], answer.score[i]) for i in range(len(flat))]


def _box_masks(net: Any, boxes_xyxy: Tensor) -> Tensor:
    """(N, 1, h', w') logits: +4 where a pixel's centre lies in the box, -4 elsewhere."""
    rows, columns = net.prompt_encoder.mask_input_size
    x = (torch.arange(columns, device=boxes_xyxy.device) + 0.5) * W / columns
    y = (torch.arange(rows, device=boxes_xyxy.device) + 0.5) * H / rows
    x0, y0, x1, y1 = boxes_xyxy[:, :, None].unbind(1)
    inside = ((y >= y0) & (y < y1))[:, :, None] & ((x >= x0) & (x < x1))[:, None]
    return (inside.float() * 8 - 4)[:, None]


def _as_map(net: Any, flat: Tensor) -> Tensor:
    """(N, C, h, w) from (h w, N, C)."""
    return flat.permute(1, 2, 0).unflatten(-1, tuple(net.backbone_feature_sizes[-1]))


def validate(net: Any, pool: Pool, *, clips: int = 20) -> dict[str, float]:
    """Mean J of the first five frames of each clip (six frames apart), objects prompted by their
    true box in the first; beside it a filled box and the first mask copied."""
    js: dict[str, list[float]] = {}
    device = next(net.parameters()).device
    right = []
    for scene in range(min(clips, len(pool.scenes))):
        shots, row = pool.scenes[scene]
        ids = shots.ids[row, :5]
        boxes, areas = boxes_and_areas(ids[0])
        bodies = np.flatnonzero(areas >= SMALLEST_PROMPT_PX)
        if not len(bodies):
            continue
        drawn = Drawn(
            _values(torch.from_numpy(shots.rgb[row, :5])),
            torch.from_numpy(np.stack([ids == b + 1 for b in bodies])),
            torch.from_numpy(boxes[bodies]), torch.zeros(len(bodies), dtype=torch.long), False,
        ).to(str(device))  # fmt: skip
        for t, answer in enumerate(roll_out(net, drawn)):
            up = F.interpolate(answer.mask_low[:, None], (H, W), mode="bilinear")[:, 0] > 0
            up &= (answer.score > 0)[:, None, None]
            for n, body in enumerate(bodies):
                true = drawn.masks[n, t]
                right.append(float((answer.score[n] > 0) == true.any()))
                if true.sum() < SMALLEST_PROMPT_PX:
                    continue
                js.setdefault(f"J{6 * t}", []).append(_jaccard(up[n], true))
                copied = drawn.masks[n, 0]
                if t == 0:
                    x0, y0, x1, y1 = boxes[body].astype(int)
                    copied = torch.zeros_like(true)
                    copied[y0:y1, x0:x1] = True
                js.setdefault(f"J{6 * t}_baseline", []).append(_jaccard(copied, true))
    scores = {name: round(float(np.mean(values)), 4) for name, values in js.items()}
    return {**scores, "presence": round(float(np.mean(right)), 4)}


def _jaccard(mask: Tensor, true: Tensor) -> float:
    return float((mask & true).sum() / (mask | true).sum().clamp(min=1))
