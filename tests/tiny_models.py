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
from massannot.models.cotracker3.checkpoint import save_cotracker3
from massannot.models.cotracker3.net import CoTracker3Net, CoTracker3Sizes
from tests.random_weights import (
    depth_anything_processor,
    depth_pro_processor,
    edgetam_network,
    grounding_dino_processor,
    sam2_processor,
    sam3_processor,
    tie_places,
    write_clip_tokenizer,
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


_DETECTOR = {
    "d_model": 32, "encoder_layers": 1, "decoder_layers": 2, "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32, "encoder_attention_heads": 2, "num_queries": 20,
    "decoder_attention_heads": 2, "disable_custom_kernels": True,
}  # fmt: skip


def _detector_parts() -> tuple[Any, Any]:
    """Configurations of a picture's and a text's encoder."""
    backbone = transformers.SwinConfig(
        image_size=64, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 2, 4, 4], window_size=4,
        out_indices=[2, 3, 4],
    )  # fmt: skip
    text = transformers.BertConfig(
        vocab_size=1200, hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=128,
    )  # fmt: skip
    return backbone, text


def tiny_detector(folder: Path, *, max_text_len: int = 64, seed: int = 0, **size: int) -> Path:
    backbone, text = _detector_parts()
    config = transformers.GroundingDinoConfig(
        backbone_config=backbone, text_config=text, max_text_len=max_text_len, **_DETECTOR
    )
    return _write_detector(transformers.GroundingDinoForObjectDetection, config, folder, seed, size)


def tiny_mm_detector(folder: Path, *, seed: int = 0, **size: int) -> Path:
    """The same sizes; no decoder layer shares a head with another, as in the published weights."""
    backbone, text = _detector_parts()
    config = transformers.MMGroundingDinoConfig(
        backbone_config=backbone, text_config=text, decoder_bbox_embed_share=False,
        decoder_cls_embed_share=False, **_DETECTOR, max_text_len=64,
    )  # fmt: skip
    return _write_detector(
        transformers.MMGroundingDinoForObjectDetection, config, folder, seed, size
    )


def _write_detector(kind: Any, config: Any, folder: Path, seed: int, size: dict[str, int]) -> Path:
    torch.manual_seed(seed)
    net = kind(config)
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


def tiny_depth_pro(folder: Path, *, use_fov_model: bool = True, seed: int = 0) -> Path:
    """An input of 192 pixels in patches of 48: 35 crops, as at the official 1536."""
    dino = {
        "model_type": "dinov2", "image_size": 48, "patch_size": 8, "hidden_size": 16,
        "num_hidden_layers": 2, "num_attention_heads": 2, "mlp_ratio": 2,
    }  # fmt: skip
    config = transformers.DepthProConfig(
        patch_size=48, fusion_hidden_size=16, intermediate_hook_ids=[1, 0],
        intermediate_feature_dims=[8, 8], scaled_images_feature_dims=[16, 16, 8],
        use_fov_model=use_fov_model, image_model_config=dino, patch_model_config=dict(dino),
        fov_model_config=dict(dino),
    )  # fmt: skip
    torch.manual_seed(seed)
    net = transformers.DepthProForDepthEstimation(config)
    _liven(net, gain=1.0)
    with torch.no_grad():  # an inverse depth above zero, and an angle that a lens may have
        net.head.layers[-2].bias.fill_(1.0)
        if net.fov_model is not None:
            net.fov_model.head.layers[-1].bias.fill_(50.0)
    _write(net, folder, depth_pro_processor(192))
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


def tiny_edgetam(folder: Path, *, side: int = 128, seed: int = 0, **options: Any) -> Path:
    """EdgeTAM; memories of 12 tokens without a place and 16 of windows."""
    torch.manual_seed(seed)
    grid = side // 16
    net = edgetam_network(
        {"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3],
         "embed_dim": [16, 24, 32, 48], "depth": [1, 1, 2, 1]},
        {"backbone_channel_list": [48, 32, 24, 16], "fpn_hidden_size": 128,
         "backbone_feature_sizes": [[grid * 4] * 2, [grid * 2] * 2, [grid] * 2]},
        prompt_encoder_config={"hidden_size": 128, "image_size": side},
        mask_decoder_config={
            "hidden_size": 128, "mlp_dim": 64, "num_attention_heads": 2, "iou_head_hidden_dim": 32,
        },
        image_size=side, memory_attention_hidden_size=128, memory_attention_num_layers=2,
        memory_attention_mlp_hidden_size=64, memory_encoder_hidden_size=128,
        memory_attention_rope_feat_sizes=[grid] * 2, memory_attention_rope_k_sizes=[4, 4],
        perceiver_resampler_num_latents=12, perceiver_resampler_num_latents_2d=16,
        mask_downsampler_embed_dim=128, memory_fuser_embed_dim=128,
        memory_fuser_intermediate_dim=64, memory_fuser_num_layers=1, **options,
    )  # fmt: skip
    _liven(net, gain=1.0)
    with torch.no_grad():
        net.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(1.0)
    _write(net, folder, sam2_processor(side))
    return folder


def tiny_sam3(folder: Path, *, side: int = 112, seed: int = 0, **options: Any) -> Path:
    """8 x 8 patches of 14 pixels; thresholds so low that random weights find something."""
    grid = side // 14
    vit = {
        "model_type": "sam3_vit_model", "hidden_size": 32, "intermediate_size": 32,
        "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": side, "window_size": 4,
        "global_attn_indexes": [1], "pretrain_image_size": 56,
    }  # fmt: skip
    vision = {
        "model_type": "sam3_vision_model", "backbone_config": vit, "fpn_hidden_size": 128,
        "backbone_feature_sizes": [[grid * 4] * 2, [grid * 2] * 2, [grid] * 2],
    }  # fmt: skip
    text = {
        "model_type": "clip_text_model", "vocab_size": 600, "hidden_size": 32,
        "intermediate_size": 32, "projection_dim": 32, "num_hidden_layers": 1,
        "num_attention_heads": 2, "max_position_embeddings": 32, "hidden_act": "gelu",
    }  # fmt: skip
    small = {"hidden_size": 128, "num_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    detector = {
        "model_type": "sam3", "vision_config": dict(vision), "text_config": text,
        "geometry_encoder_config": dict(small), "detr_encoder_config": dict(small),
        "detr_decoder_config": small | {"num_queries": 6},
        "mask_decoder_config": {"hidden_size": 128, "num_attention_heads": 2},
    }  # fmt: skip
    tracker = {
        "model_type": "sam3_tracker_video", "vision_config": dict(vision), "num_maskmem": 3,
        "prompt_encoder_config": {"hidden_size": 128, "image_size": side},
        "mask_decoder_config": {
            "hidden_size": 128, "mlp_dim": 64, "num_attention_heads": 2, "iou_head_hidden_dim": 32,
        },
        "max_object_pointers_in_encoder": 3, "memory_attention_hidden_size": 128,
        "memory_attention_num_layers": 1, "memory_attention_feed_forward_hidden_size": 64,
        "memory_attention_rope_feat_sizes": [grid] * 2, "memory_encoder_hidden_size": 128,
        "mask_downsampler_embed_dim": 128, "memory_fuser_embed_dim": 128,
        "memory_fuser_intermediate_dim": 64, "memory_fuser_num_layers": 1,
    }  # fmt: skip
    config = transformers.Sam3VideoConfig(
        detector_config=detector, tracker_config=tracker, low_res_mask_size=grid * 4,
        **{"hotstart_delay": 0, "hotstart_unmatch_thresh": 0, "hotstart_dup_thresh": 0}
        | {"score_threshold_detection": 0.2, "new_det_thresh": 0.2} | options,
    )  # fmt: skip
    config.image_size = side  # of every part, those named above and the tracker's prompts
    torch.manual_seed(seed)
    net = transformers.Sam3VideoModel(config)
    _liven(net, gain=1.0)
    _write(net, folder, sam3_processor(side))
    write_clip_tokenizer(folder)
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


def tiny_tracker(folder: Path) -> Path:
    """CoTracker3 with the first numbers that come."""
    sizes = CoTracker3Sizes(
        encoder_widths=(8, 12, 16, 16),
        encoder_hidden=16,
        feature_dim=16,
        correlation_hidden=16,
        correlation_dim=16,
        width=32,
        n_heads=2,
        n_layers=1,
        n_virtual=4,
    )
    save_cotracker3(CoTracker3Net(sizes=sizes), folder)
    return folder
