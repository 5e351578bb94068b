"""Full-size models with random weights, written as a hub lays them out: files to test with.

Every byte is made here, from the published sizes: no network, no licence, no knowledge. The
tokenizer spells words in letters, a few dozen excepted. Written into a folder that HF_HOME names,
a profile finds them as if they had been downloaded, at the revision that it pins.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from massannot.errors import UsageError
from massannot.models.cotracker3.net import CoTracker3Net
from massannot.models.preprocess import IMAGENET_MEAN, IMAGENET_STD
from massannot.models.profiles import Profile
from massannot.models.text_prompts import CLS, PAD, QUESTION, SEP, STOP, UNKNOWN
from massannot.models.weights import Weights

COTRACKER3 = "facebook/cotracker3"
"""The one repository that is not in transformers' layout: two pickles of tensors."""

MASK = 103
WORDS = """
a an the of on in and with red green blue yellow orange purple black white pink cyan brown gray
ball box cube cylinder cone sphere person man woman child dog cat car truck bike bird table chair
bed door window hand bottle cup hoop juggler laptop phone
"""
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-'\",;:!/()&+%#"


@dataclass(frozen=True)
class Architecture:
    """One repository of the hub: how to build its configuration and what lies beside it."""

    network: Callable[[], torch.nn.Module]
    processor: Callable[[], dict[str, Any]]
    tokenizer: Callable[[Path], None] | None = None


def write_profile(profile: Profile, hub_cache: Path, *, seed: int = 0) -> None:
    """Every hub model of a profile inside `hub_cache` (HF_HOME/hub), so that the profile runs
    offline. Gigabytes for the full sizes."""
    for weights in profile.weights:
        if weights.on_hub:
            write_cache(weights, hub_cache, seed=seed)


def write_cache(weights: Weights, hub_cache: Path, *, seed: int = 0) -> Path:
    """A repository inside `hub_cache`, at the revision that `weights` names (a made-up commit for a
    branch). Returns the snapshot's folder. Raises UsageError, see write_repository."""
    repository = hub_cache / f"models--{weights.source.replace('/', '--')}"
    is_commit = len(weights.revision) == 40
    commit = weights.revision if is_commit else "0" * 40
    snapshot = write_repository(weights.source, repository / "snapshots" / commit, seed=seed)
    (repository / "refs").mkdir(parents=True, exist_ok=True)
    (repository / "refs" / ("main" if is_commit else weights.revision)).write_text(commit)
    return snapshot


def write_repository(hub_id: str, folder: Path, *, seed: int = 0) -> Path:
    """The files of `hub_id` with random weights, in `folder`. Raises UsageError for an id whose
    sizes are not known here."""
    known = sorted([*ARCHITECTURES, COTRACKER3])
    if hub_id not in known:
        raise UsageError(f"no sizes for {hub_id!r}; known: {', '.join(known)}")
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    if hub_id == COTRACKER3:
        for online, name in ((False, "scaled_offline.pth"), (True, "scaled_online.pth")):
            torch.save(CoTracker3Net(online=online).state_dict(), folder / name)
    else:
        architecture = ARCHITECTURES[hub_id]
        write_network(architecture.network(), folder, processor=architecture.processor())
        if architecture.tokenizer is not None:
            architecture.tokenizer(folder)
    (folder / "README.md").write_text(
        f"---\nlicense: other\n---\nRandom weights in the shape of {hub_id} (seed {seed}); they "
        "know nothing.\n"
    )
    return folder


def write_network(net: Any, folder: Path, *, processor: dict[str, Any]) -> None:
    """config.json, model.safetensors and preprocessor_config.json of a network."""
    net.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(processor, indent=2))


def write_tokenizer(folder: Path, *, size: int = 30522) -> None:
    """A tokenizer of BERT's kind with its special ids, `size` words, letters and continuations."""
    names = {PAD: "[PAD]", UNKNOWN: "[UNK]", CLS: "[CLS]", SEP: "[SEP]", MASK: "[MASK]"}
    names |= {STOP: ".", QUESTION: "?"}
    pieces = [*WORDS.split(), *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    free = (i for i in range(104, size) if i not in names)
    names |= dict(zip(free, dict.fromkeys(p for p in pieces if p not in names.values())))
    vocab = {names.get(i, f"[unused{i}]"): i for i in range(size)}
    transformers.BertTokenizer(vocab=vocab).save_pretrained(folder)


def write_clip_tokenizer(folder: Path) -> None:
    """A tokenizer of CLIP's kind that spells in letters."""
    pieces = ["<|startoftext|>", "<|endoftext|>", *LETTERS, *(f"{each}</w>" for each in LETTERS)]
    words = {piece: n for n, piece in enumerate(pieces)}
    transformers.CLIPTokenizer(vocab=words, merges=[]).save_pretrained(folder)


def grounding_dino_processor(**size: int) -> dict[str, Any]:
    """The detection processor's file; `size`: shortest_edge and longest_edge, or height, width."""
    return _processor(
        "GroundingDinoImageProcessor", 2, size or {"shortest_edge": 800, "longest_edge": 1333}
    )


def sam2_processor(side: int = 1024) -> dict[str, Any]:
    return _processor("Sam2ImageProcessorFast", 2, {"height": side, "width": side})


def depth_anything_processor(
    height: int = 518, width: int = 518, *, keep_aspect_ratio: bool = True
) -> dict[str, Any]:
    shape = {"ensure_multiple_of": 14, "keep_aspect_ratio": keep_aspect_ratio}
    return _processor("DPTImageProcessor", 3, {"height": height, "width": width}) | shape


def sam3_processor(side: int = 1008) -> dict[str, Any]:
    half = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    return _processor("Sam3ImageProcessor", 2, {"height": side, "width": side}) | half


def depth_pro_processor(side: int = 1536) -> dict[str, Any]:
    half = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    return _processor("DepthProImageProcessorFast", 2, {"height": side, "width": side}) | half


def _processor(kind: str, resample: int, size: dict[str, int]) -> dict[str, Any]:
    return {
        "image_processor_type": kind,
        "do_resize": True,
        "do_rescale": True,
        "do_normalize": True,
        "image_mean": list(IMAGENET_MEAN),
        "image_std": list(IMAGENET_STD),
        "rescale_factor": 1 / 255,
        "resample": resample,
        "size": size,
    }


def _grounding_dino(**swin: Any) -> Callable[[], torch.nn.Module]:
    def build() -> torch.nn.Module:
        backbone = transformers.SwinConfig(out_indices=[2, 3, 4], **swin)
        config = transformers.GroundingDinoConfig(backbone_config=backbone)
        return transformers.GroundingDinoForObjectDetection(config)

    return build


def _mm_grounding_dino(**swin: Any) -> Callable[[], torch.nn.Module]:
    def build() -> torch.nn.Module:
        backbone = transformers.SwinConfig(out_indices=[2, 3, 4], **swin)
        config = transformers.MMGroundingDinoConfig(
            backbone_config=backbone, decoder_bbox_embed_share=False, decoder_cls_embed_share=False
        )
        return transformers.MMGroundingDinoForObjectDetection(config)

    return build


def _depth_pro() -> torch.nn.Module:
    dino = {
        "model_type": "dinov2", "image_size": 384, "patch_size": 16, "hidden_size": 1024,
        "num_hidden_layers": 24, "num_attention_heads": 16,
    }  # fmt: skip
    parts = {f"{part}_model_config": dict(dino) for part in ("image", "patch", "fov")}
    net = transformers.DepthProForDepthEstimation(
        transformers.DepthProConfig(use_fov_model=True, **parts)
    )
    with torch.no_grad():  # an inverse depth above zero and an angle that a lens may have
        for layer, about in ((net.head.layers[-2], 1.0), (net.fov_model.head.layers[-1], 50.0)):
            layer.weight.mul_(1e-3)
            layer.bias.fill_(about)
    return net


def _sam2(**hiera: Any) -> Callable[[], torch.nn.Module]:
    def build() -> torch.nn.Module:
        backbone = transformers.Sam2HieraDetConfig(**hiera)
        channels = list(reversed(backbone.embed_dim_per_stage))
        vision = transformers.Sam2VisionConfig(
            backbone_config=backbone, backbone_channel_list=channels
        )
        net = transformers.Sam2VideoModel(transformers.Sam2VideoConfig(vision_config=vision))
        tie_places(net)
        with torch.no_grad():  # by chance some would call everything absent: then no mask is made
            net.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(1.0)
        return net

    return build


def _edgetam() -> torch.nn.Module:
    return edgetam_network(
        {"in_chans": 3, "features_only": True, "out_indices": [0, 1, 2, 3]},
        enable_temporal_pos_encoding_for_object_pointers=False,
        enable_occlusion_spatial_embedding=False,
    )


def edgetam_network(
    repvit: dict[str, Any], vision: dict[str, Any] | None = None, **options: Any
) -> Any:
    """EdgeTAM with timm's RepViT of such arguments. A configuration without it builds another."""
    backbone = transformers.TimmWrapperConfig(architecture="repvit_m1", model_args=repvit)
    config = transformers.EdgeTamVisionConfig(backbone_config=backbone, **(vision or {}))
    net = transformers.EdgeTamVideoModel(
        transformers.EdgeTamVideoConfig(vision_config=config, **options)
    )
    tie_places(net)
    with torch.no_grad():  # see _sam2
        net.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(1.0)
    return net


def tie_places(net: Any) -> None:
    """One encoding of places for pictures and prompts: two buffers, drawn independently, that the
    published weights hold equal."""
    prompt = net.prompt_encoder.shared_embedding.positional_embedding
    net.shared_image_embedding.positional_embedding.copy_(prompt)


def _depth_anything(
    *, width: int, layers: int, heads: int, taps: list[int], neck: list[int], fusion: int,
    max_depth: int | None,
) -> Callable[[], torch.nn.Module]:  # fmt: skip
    def build() -> torch.nn.Module:
        backbone = transformers.Dinov2Config(
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            image_size=518,
            patch_size=14,
            out_indices=taps,
            reshape_hidden_states=False,
            apply_layernorm=True,
        )
        config = transformers.DepthAnythingConfig(
            backbone_config=backbone,
            reassemble_hidden_size=width,
            neck_hidden_sizes=neck,
            fusion_hidden_size=fusion,
            depth_estimation_type="relative" if max_depth is None else "metric",
            max_depth=max_depth,
        )
        return transformers.DepthAnythingForDepthEstimation(config)

    return build


def _depth_small(max_depth: int | None) -> Callable[[], torch.nn.Module]:
    return _depth_anything(
        width=384, layers=12, heads=6, taps=[3, 6, 9, 12], neck=[48, 96, 192, 384], fusion=64,
        max_depth=max_depth,
    )  # fmt: skip


def _depth_large(max_depth: int | None) -> Callable[[], torch.nn.Module]:
    return _depth_anything(
        width=1024, layers=24, heads=16, taps=[5, 12, 18, 24], neck=[256, 512, 1024, 1024],
        fusion=256, max_depth=max_depth,
    )  # fmt: skip


_SWIN_TINY = {
    "image_size": 224, "window_size": 7, "embed_dim": 96, "depths": [2, 2, 6, 2],
    "num_heads": [3, 6, 12, 24],
}  # fmt: skip
_SWIN_BASE = {
    "image_size": 384, "window_size": 12, "embed_dim": 128, "depths": [2, 2, 18, 2],
    "num_heads": [4, 8, 16, 32],
}  # fmt: skip
_SWIN_LARGE = {
    "image_size": 384, "window_size": 12, "embed_dim": 192, "depths": [2, 2, 18, 2],
    "num_heads": [6, 12, 24, 48],
}  # fmt: skip
_HIERA_LARGE = {
    "hidden_size": 144, "num_attention_heads": 2, "embed_dim_per_stage": [144, 288, 576, 1152],
    "num_attention_heads_per_stage": [2, 4, 8, 16], "blocks_per_stage": [2, 6, 36, 4],
    "global_attention_blocks": [23, 33, 43], "window_size_per_stage": [8, 4, 16, 8],
    "window_positional_embedding_background_size": [7, 7],
}  # fmt: skip

ARCHITECTURES = {
    "IDEA-Research/grounding-dino-tiny": Architecture(
        _grounding_dino(**_SWIN_TINY), grounding_dino_processor, tokenizer=write_tokenizer
    ),
    "IDEA-Research/grounding-dino-base": Architecture(
        _grounding_dino(**_SWIN_BASE), grounding_dino_processor, tokenizer=write_tokenizer
    ),
    "openmmlab-community/mm_grounding_dino_large_all": Architecture(
        _mm_grounding_dino(**_SWIN_LARGE), grounding_dino_processor, tokenizer=write_tokenizer
    ),
    "apple/DepthPro-hf": Architecture(_depth_pro, depth_pro_processor),
    "facebook/sam3": Architecture(
        lambda: transformers.Sam3VideoModel(transformers.Sam3VideoConfig()),
        sam3_processor,
        tokenizer=write_clip_tokenizer,
    ),
    "facebook/sam2.1-hiera-tiny": Architecture(_sam2(), sam2_processor),
    "facebook/sam2.1-hiera-large": Architecture(_sam2(**_HIERA_LARGE), sam2_processor),
    "yonigozlan/EdgeTAM-hf": Architecture(_edgetam, sam2_processor),
    "depth-anything/Depth-Anything-V2-Small-hf": Architecture(
        _depth_small(None), depth_anything_processor
    ),
    "depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf": Architecture(
        _depth_small(20), depth_anything_processor
    ),
    "depth-anything/Depth-Anything-V2-Metric-Indoor-Large-hf": Architecture(
        _depth_large(20), depth_anything_processor
    ),
    "depth-anything/Depth-Anything-V2-Metric-Outdoor-Small-hf": Architecture(
        _depth_small(80), depth_anything_processor
    ),
    "depth-anything/Depth-Anything-V2-Metric-Outdoor-Large-hf": Architecture(
        _depth_large(80), depth_anything_processor
    ),
}
