"""A vision-language model small enough to train from nothing on a CPU: LLaVA in miniature.

Two things are unusual. The tokenizer reads a run of wording as one token, and of a number its first
decimal ("-0.25" is "-0.2"): the trainer's language-model head works on every token of a prompt, and
half a step's time is spent there with ten times the words. And the embeddings of numbers begin as
smooth functions of their values, so that a model of this size need not learn from scratch that 0.2
lies between 0.1 and 0.3; they are trained like all else.

LLaVA on OPT, whose positions are learned: a line of the profile is found by its place. Positions
are counted without padding, in training as in generation.

TinyLlava is registered with transformers, because TRL reads the model that reinforcement starts
from once more from its folder. Pictures are PICTURE_PX on each side and prepared without
torchvision: transformers' own processors take a millisecond or two a picture, and a group of eight
completions with four frames each shows a picture 32 times.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    BatchFeature,
    LlavaConfig,
    LlavaForConditionalGeneration,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil


class TinyLlavaConfig(LlavaConfig):
    model_type = "tiny_llava"
    auto_map: ClassVar[
        dict[str, str]
    ] = {}  # TRL asks for it of every model that is not transformers' own


class TinyLlava(LlavaForConditionalGeneration):
    config_class = TinyLlavaConfig
    # Where OPT keeps its embeddings, unlike the models that LLaVA was made for.
    _tied_weights_keys = {"lm_head.weight": "model.language_model.decoder.embed_tokens.weight"}  # noqa: RUF012


AutoConfig.register(TinyLlavaConfig.model_type, TinyLlavaConfig, exist_ok=True)
AutoModelForCausalLM.register(TinyLlavaConfig, TinyLlava, exist_ok=True)


class Thumbnails(CLIPImageProcessorPil):
    """RGB pictures of the right size as (N, 3, H, W) from -1 to 1."""

    def __call__(self, images: Any, **kwargs: Any) -> BatchFeature:
        import torch

        flat = [one for each in images for one in (each if isinstance(each, list) else [each])]
        pixels = np.stack([np.asarray(one, np.float32) for one in flat]) / 127.5 - 1
        return BatchFeature({"pixel_values": torch.from_numpy(pixels).permute(0, 3, 1, 2)})


PICTURE_PX = 32
PATCH_PX = 32
_PAD, _END, _UNKNOWN, _IMAGE = "<pad>", "<end>", "<unknown>", "<image>"

CHAT_TEMPLATE = (
    "{% for message in messages %}{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}{% if part['type'] == 'image' %}"
    "<image>{% else %}{{ part['text'] }}{% endif %}\n{% endfor %}{% endif %}{% endfor %}"
)


@dataclass(frozen=True, kw_only=True)
class TinySize:
    width: int = 64
    layers: int = 3
    heads: int = 4
    picture_width: int = 32
    picture_layers: int = 1


def tiny_processor(texts: list[str]) -> Any:
    """A LLaVA processor whose words are those of `texts`, in alphabetical order, and all numbers
    of one decimal between -9.9 and 9.9."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    split = pre_tokenizers.Split(Regex(_PIECES), "removed", invert=True)
    words = {piece for text in texts for piece, _ in split.pre_tokenize_str(text)}
    fixed = [_PAD, _END, _UNKNOWN, _IMAGE]
    vocabulary = [*fixed, *_NUMBERS, *sorted(words - {*_NUMBERS, *fixed})]
    bare = Tokenizer(
        models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token=_UNKNOWN)
    )
    bare.pre_tokenizer = split
    bare.decoder = decoders.WordPiece(prefix="##", cleanup=False)
    return _processor(
        PreTrainedTokenizerFast(
            tokenizer_object=bare,
            pad_token=_PAD,
            eos_token=_END,
            unk_token=_UNKNOWN,
            additional_special_tokens=[_IMAGE],
            padding_side="left",
        )
    )


def read_tiny(folder: Path) -> tuple[Any, Any]:
    """(model, processor) that `save_pretrained` wrote."""
    from transformers import PreTrainedTokenizerFast

    model = TinyLlava.from_pretrained(folder)
    return model, _processor(PreTrainedTokenizerFast.from_pretrained(folder, padding_side="left"))


def _processor(tokenizer: Any) -> Any:
    from transformers import LlavaProcessor

    return LlavaProcessor(
        image_processor=Thumbnails(),
        tokenizer=tokenizer,
        patch_size=PATCH_PX,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
        image_token=_IMAGE,
    )


# A tag, a frame's time, the first decimal of a number, how to answer, wording up to a comma.
_PIECES = (
    r"</?(?:think|answer|image|pad|end)>|\d+\.\d\d s:|-?\d+\.\d|(?<![\d.])-?\d+"
    r"|First reason between.*|[A-Za-z*](?:[^<>\n,]*[^<>\s,])?"
)
_NUMBERS = [f"{sign}{n / 10:.1f}" for sign in ("-", "") for n in range(100)]


def tiny_model(processor: Any, *, size: TinySize = TinySize(), seed: int = 0) -> Any:
    """An untrained model for that processor's words."""
    import torch
    from transformers import (
        CLIPVisionConfig,
        OPTConfig,
    )

    tokenizer = processor.tokenizer
    text = OPTConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.width,
        word_embed_proj_dim=size.width,
        ffn_dim=4 * size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        max_position_embeddings=1024,
        dropout=0.0,
        init_std=0.1,  # OPT's own 0.02 is for a thousand times the weights, and learns slowly here
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    pictures = CLIPVisionConfig(
        hidden_size=size.picture_width,
        intermediate_size=2 * size.picture_width,
        num_hidden_layers=size.picture_layers,
        num_attention_heads=2,
        image_size=PICTURE_PX,
        patch_size=PATCH_PX,
        projection_dim=size.picture_width,
    )
    config = TinyLlavaConfig(
        vision_config=pictures,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids(_IMAGE),
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        tie_word_embeddings=True,
        image_seq_length=(PICTURE_PX // PATCH_PX) ** 2,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    torch.manual_seed(seed)
    model = TinyLlava(config)
    with torch.no_grad():
        _spread_numbers(model.get_input_embeddings().weight, tokenizer)
        model.model.language_model.decoder.embed_positions.weight.normal_(0, _SPREAD)
    return model


def _spread_numbers(weight: Any, tokenizer: Any) -> None:
    """Rows of numbers: soft steps along their values and along their sizes, both, and the square;
    nothing else, so that none is known by heart."""
    import torch

    ids = [tokenizer.convert_tokens_to_ids(number) for number in _NUMBERS]
    value = torch.tensor([float(number) for number in _NUMBERS])
    size = value.abs()
    features = [torch.tanh(2 * (value - at)) for at in torch.arange(-2, 5.5, 0.5)]
    features += [1.5 * torch.tanh(4 * (size - at)) for at in (0.1, 0.25, 0.5, 0.75, 1, 1.5)]
    features += [value / 3, size.clamp(max=3) - 1, size.clamp(max=2) ** 2 - 1]
    weight.normal_(0, _SPREAD)
    weight[ids] = 0
    weight[ids, : len(features)] = _SPREAD * torch.stack(features, dim=1)


_SPREAD = 0.3
