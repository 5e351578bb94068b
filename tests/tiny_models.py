"""Networks of the real architectures at toy sizes with random weights, laid out as on the hub."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from massannot.clip import Frames
from tests.random_weights import (
    depth_anything_processor,
    grounding_dino_processor,
    sam2_processor,
    tie_places,
    write_network,
    write_tokenizer,
)


def frames_of(pixels_THWC: np.ndarray) -> Frames:
    n, height, width = pixels_THWC.shape[:3]
    return Frames(
        pixels_THWC,
        video_id="0" * 32,
        source_id="clip",
        pts=np.arange(n, dtype=np.int64),
        t_s=np.arange(n) / 10,
        time_base=Fraction(1, 10),
        source_width=width,
        source_height=height,
    )


def noise_frames(n: int, height: int, width: int, *, seed: int = 0) -> Frames:
    """Blotches of colour: smooth enough to resize, different in every frame and channel."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.random((n, 3, 7, 9), np.float32))
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")
    levels = (smooth * 255).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
    return frames_of(levels.numpy())


def tiny_depth(folder: Path, *, kind: str = "metric", seed: int = 0, **processor: Any) -> Path:
    backbone = transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=2, mlp_ratio=2, image_size=126,
        patch_size=14, out_indices=[1, 2, 3, 4], reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=32, neck_hidden_sizes=[8, 16, 16, 16],
        fusion_hidden_size=16, head_hidden_size=8, depth_estimation_type=kind, max_depth=20,
    )  # fmt: skip
    torch.manual_seed(seed)
    net = transformers.DepthAnythingForDepthEstimation(config)
    _liven(net, gain=0.7)
    shape = {"height": 126, "width": 154} | processor
    _write(net, folder, depth_anything_processor(**shape))
    return folder


def tiny_detector(folder: Path, *, max_text_len: int = 64, seed: int = 0, **size: int) -> Path:
    backbone = transformers.SwinConfig(
        image_size=64, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 2, 4, 4], window_size=4,
        out_indices=[2, 3, 4],
    )  # fmt: skip
    text = transformers.BertConfig(
        vocab_size=1200, hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=128,
    )  # fmt: skip
    config = transformers.GroundingDinoConfig(
        backbone_config=backbone, text_config=text, d_model=32, encoder_layers=1, decoder_layers=2,
        encoder_ffn_dim=32, decoder_ffn_dim=32, encoder_attention_heads=2, num_queries=20,
        decoder_attention_heads=2, max_text_len=max_text_len, disable_custom_kernels=True,
    )  # fmt: skip
    torch.manual_seed(seed)
    net = transformers.GroundingDinoForObjectDetection(config)
    with torch.no_grad():  # scores that spread over 0..1, and boxes that differ
        net.model.decoder.layer_norm.weight.fill_(0.2)
        net.model.enc_output_norm.weight.fill_(0.2)
        for head in [*net.bbox_embed, net.model.encoder_output_bbox_embed]:
            torch.nn.init.normal_(head.layers[-1].weight, std=0.3)
    _write(
        net,
        folder,
        grounding_dino_processor(**(size or {"shortest_edge": 96, "longest_edge": 160})),
    )
    write_tokenizer(folder, size=1200)
    return folder


def tiny_sam2(
    folder: Path, *, side: int = 128, seed: int = 0, blocks: Sequence[int] = (1, 1, 2, 1),
    memory_layers: int = 1, fuser_layers: int = 1, **options: Any,
) -> Path:  # fmt: skip
    """SAM 2; with `blocks` (1, 2, 7, 2), 4 memory layers and 2 fuser layers as deep as the
    official tiny one, and as narrow as ever."""
    backbone = transformers.Sam2HieraDetConfig(
        hidden_size=16, num_attention_heads=1, blocks_per_stage=list(blocks),
        embed_dim_per_stage=[16, 32, 48, 64], num_attention_heads_per_stage=[1, 1, 2, 2],
        window_size_per_stage=[8, 4, 8, 4], global_attention_blocks=[sum(blocks[:3]) - 1],
        image_size=[side, side],
    )  # fmt: skip
    grid = [[side // 4] * 2, [side // 8] * 2, [side // 16] * 2]
    vision = transformers.Sam2VisionConfig(
        backbone_config=backbone, backbone_channel_list=[64, 48, 32, 16], fpn_hidden_size=128,
        backbone_feature_sizes=grid,
    )  # fmt: skip
    config = transformers.Sam2VideoConfig(
        vision_config=vision,
        prompt_encoder_config={"hidden_size": 128, "image_size": side},
        mask_decoder_config={
            "hidden_size": 128, "mlp_dim": 64, "num_attention_heads": 2, "iou_head_hidden_dim": 32,
        },
        image_size=side, memory_attention_hidden_size=128,
        memory_attention_num_layers=memory_layers, memory_fuser_num_layers=fuser_layers,
        memory_attention_feed_forward_hidden_size=64, memory_encoder_hidden_size=128,
        memory_attention_rope_feat_sizes=[side // 16] * 2, mask_downsampler_embed_dim=128,
        memory_fuser_embed_dim=128, memory_fuser_intermediate_dim=64,
        **options,
    )  # fmt: skip
    torch.manual_seed(seed)
    net = transformers.Sam2VideoModel(config)
    tie_places(net)
    _liven(net, gain=1.0)
    with torch.no_grad():
        net.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(1.0)
    _write(net, folder, sam2_processor(side))
    return folder


def _liven(net: Any, *, gain: float) -> None:
    """Weights so large that the answer depends on the picture: as they start, it hardly does."""
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.dim() > 1:
                torch.nn.init.xavier_normal_(parameter.flatten(1), gain=gain)
            elif not parameter.any():
                torch.nn.init.normal_(parameter, std=0.1)


def _write(net: Any, folder: Path, processor: dict[str, Any]) -> None:
    transformers.utils.logging.disable_progress_bar()
    write_network(net, folder, processor=processor)
