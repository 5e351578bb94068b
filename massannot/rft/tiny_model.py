"""A vision-language model small enough to train on a CPU: LLaVA in miniature, which sees scenes.

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

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    BatchFeature,
    LlavaConfig,
    LlavaForConditionalGeneration,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from massannot.questions.sight_questions import COLOUR_NAMES
from massannot.rft.geometry_tokens import DIGITS, SELECTOR

if TYPE_CHECKING:
    import torch


class TinyLlavaConfig(LlavaConfig):
    model_type = "tiny_llava"
    auto_map: ClassVar[
        dict[str, str]
    ] = {}  # TRL asks for it of every model that is not transformers' own


class TinyLlava(LlavaForConditionalGeneration):
    """`config.geometry` holds the options of its geometry selector; absent: it has none."""

    config_class = TinyLlavaConfig

    def __init__(self, config: TinyLlavaConfig) -> None:
        super().__init__(config)
        if getattr(config, "geometry", None):
            from massannot.rft.geometry_selector import SelectorOptions, attach

            attach(self, SelectorOptions(**config.geometry))

    # Saved under its own names: with those of LLaVA's older files, which transformers writes by
    # default and a trainer does not translate back, a checkpoint loses the language model.
    def save_pretrained(self, save_directory: Any, **kwargs: Any) -> None:
        super().save_pretrained(save_directory, **{"save_original_format": False, **kwargs})

    # Where OPT keeps its embeddings, unlike the models that LLaVA was made for.
    _tied_weights_keys = {"lm_head.weight": "model.language_model.decoder.embed_tokens.weight"}  # noqa: RUF012


AutoConfig.register(TinyLlavaConfig.model_type, TinyLlavaConfig, exist_ok=True)
AutoModelForCausalLM.register(TinyLlavaConfig, TinyLlava, exist_ok=True)


class Thumbnails(CLIPImageProcessorPil):
    """RGB pictures of the right size as (N, 3, H, W) from -1 to 1."""

    def __call__(self, images: Any, **kwargs: Any) -> BatchFeature:
        flat = [one for each in images for one in (each if isinstance(each, list) else [each])]
        return BatchFeature({"pixel_values": pixel_values(np.stack([*map(np.asarray, flat)]))})


def pixel_values(pictures: NDArray[np.uint8]) -> torch.Tensor:
    """(N, H, W, 3) as (N, 3, H, W) from -1 to 1."""
    import torch

    pixels = np.asarray(pictures, np.float32) / 127.5 - 1
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


EYES = Path(__file__).parent.parent / "weights" / "tiny_eyes"
SEEING = Path(__file__).parent.parent / "weights" / "tiny_llava"
READING = Path(__file__).parent.parent / "weights" / "tiny_selector"
_FILE = "model.safetensors"
PICTURE_PX = 32
PATCH_PX = 8
N_PATCHES = (PICTURE_PX // PATCH_PX) ** 2
N_PLACED = 4
"""Pictures whose patches have places of their own; more begin as any word."""
_PAD, _END, _UNKNOWN, _IMAGE = "<pad>", "<end>", "<unknown>", "<image>"
_FIXED = (_PAD, _END, _UNKNOWN, _IMAGE, *DIGITS, *COLOUR_NAMES)

CHAT_TEMPLATE = (
    "{% for message in messages %}{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}{% if part['type'] == 'image' %}"
    "<image>{% else %}{{ part['text'] }}{% endif %}\n{% endfor %}{% endif %}"
    "{% if message['role'] == 'assistant' %}<end>{% endif %}{% endfor %}"
)


@dataclass(frozen=True, kw_only=True)
class TinySize:
    width: int = 64
    layers: int = 3
    heads: int = 4
    picture_width: int = 64
    picture_layers: int = 2


def tiny_processor(texts: list[str]) -> Any:
    """A LLaVA processor whose words are those of `texts`, in alphabetical order, and all numbers
    of one decimal between -9.9 and 9.9."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    split = pre_tokenizers.Split(Regex(_PIECES), "removed", invert=True)
    words = {piece for text in texts for piece, _ in split.pre_tokenize_str(text)}
    vocabulary = [*_FIXED, *_NUMBERS, *sorted(words - {*_NUMBERS, *_FIXED})]
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
            additional_special_tokens=[_IMAGE, *DIGITS],
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


# A tag, a frame's time, the first decimal of a number, how to answer, a colour, wording up to a
# comma or a colour.
_COLOUR = rf"\b(?:{'|'.join(COLOUR_NAMES)})\b"
_PIECES = (
    r"</?(?:think|answer|image|pad|end|g\d+)>|\d+\.\d\d s:|-?\d+\.\d|(?<![\d.])-?\d+"
    rf"|First reason between.*|{_COLOUR}"
    rf"|[A-Za-z*](?:(?:(?!{_COLOUR})[^<>\n,])*(?!{_COLOUR})[^<>\s,])?"
)
_NUMBERS = [f"{sign}{n / 10:.1f}" for sign in ("-", "") for n in range(100)]


def tiny_model(
    processor: Any,
    *,
    size: TinySize = TinySize(),
    seed: int = 0,
    geometry: Mapping[str, Any] | None = None,
    seeing: bool = True,
) -> Any:
    """A model for that processor's words. Of the usual size it has learned to see: to say of scenes
    which colours are there, where and in what order; what it was never told, its other words, is
    drawn. `geometry`: options of a geometry selector, but for those that the model decides; of the
    recipe's shape it has learned to read points, of another it is drawn. `seeing`: False for only
    eyes that are trained."""
    import torch
    from transformers import OPTConfig

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
    config = TinyLlavaConfig(
        vision_config=_vision_config(size),
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids(_IMAGE),
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        tie_word_embeddings=True,
        image_seq_length=N_PATCHES,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    if geometry is not None:
        first_id = tokenizer.convert_tokens_to_ids(DIGITS[0])
        decided = {"model_width": size.width, "size": SPREAD, "first_id": first_id}
        config.geometry = {**geometry, **decided}
    torch.manual_seed(seed)
    model = TinyLlava(config)
    with torch.no_grad():
        _spread_numbers(model.get_input_embeddings().weight, tokenizer)
        _see(model, tokenizer)
        _spread_places(model.model.language_model.decoder.embed_positions.weight)
        if seeing and size == TinySize():
            _take(model, tokenizer, SEEING)
            if geometry is not None:
                _take_selector(model, tokenizer, READING)
    return model


def _see(model: Any, tokenizer: Any) -> None:
    """Take the trained encoder, where its size is the usual one, and let the projector say what it
    was trained on: of a patch with a colour, the embedding of that colour's word. All other numbers
    of a picture's token are drawn, a tenth as large.

    As LLaVA begins, its projector's tokens are a fiftieth of a word's, and not noticed."""
    import torch
    from safetensors.torch import load_file

    eyes, projector = model.model.vision_tower, model.model.multi_modal_projector
    words = model.get_input_embeddings().weight
    for layer, size in ((projector.linear_1, 1.0), (projector.linear_2, SPREAD)):
        torch.nn.init.normal_(layer.weight, 0, 0.3 * size / layer.in_features**0.5)
        torch.nn.init.zeros_(layer.bias)
    trained = load_file(EYES / _FILE)
    heads = {name: trained.pop(f"colour.{name}") for name in ("weight", "bias")}
    if any(trained[name].shape != weight.shape for name, weight in eyes.state_dict().items()):
        return
    eyes.load_state_dict(trained)
    n_colours = len(heads["weight"])
    colours = tokenizer.convert_tokens_to_ids(list(COLOUR_NAMES))
    projector.linear_1.weight[:n_colours] = heads["weight"]
    projector.linear_1.bias[:n_colours] = heads["bias"]  # below 0 where the colour is not
    projector.linear_2.weight[:, :n_colours] = words[colours].T / _SURE


def _spread_places(weight: Any) -> None:
    """Rows of positions: drawn; those that the pictures of a prompt take, the sum of what is drawn
    for a picture, a row and a column, so that a column is one thing in all pictures."""
    import torch

    weight.normal_(0, SPREAD)
    side = PICTURE_PX // PATCH_PX
    columns, rows, pictures = (
        torch.randn(n, weight.shape[1]) * SPREAD for n in (side, side, N_PLACED)
    )
    patches = columns[None] + 0.5 * rows[:, None]
    for number, picture in enumerate(pictures):
        first = _OPT_OFFSET + number * (1 + N_PATCHES)
        weight[first] = picture  # of its time
        weight[first + 1 : first + 1 + N_PATCHES] = picture + patches.flatten(0, 1)


def save_seeing(model: Any, tokenizer: Any, folder: Path) -> None:
    """The model's weights and its words by name, for `tiny_model`."""
    table = model.get_input_embeddings().weight
    weights = {name: weight for name, weight in model.state_dict().items() if not _is_word(name)}
    _store(weights, table, tokenizer.convert_ids_to_tokens(range(len(table))), folder)


def _take(model: Any, tokenizer: Any, folder: Path) -> None:
    """What `save_seeing` wrote."""
    weights, spelled = _stored(folder)
    _take_words(model, tokenizer, weights.pop(_WORDS), spelled)
    missing = model.load_state_dict(weights, strict=False)
    lost = [name for name in missing.missing_keys if not _is_word(name) and SELECTOR not in name]
    if lost or missing.unexpected_keys:
        raise ValueError(f"{folder}: found other weights, {lost + missing.unexpected_keys}")


def save_selector(
    selector: Any, table: torch.Tensor, tokenizer: Any, words: Sequence[str], folder: Path
) -> None:
    """A selector's weights, and those words' rows of the table of embeddings, for `tiny_model`."""
    rows = table[tokenizer.convert_tokens_to_ids(list(words))]
    _store(selector.state_dict(), rows, words, folder)


def _take_selector(model: Any, tokenizer: Any, folder: Path) -> None:
    """What `save_selector` wrote; a selector of another shape stays as it is drawn."""
    weights, spelled = _stored(folder)
    words, selector = weights.pop(_WORDS), getattr(model, SELECTOR)
    own = {name: weight.shape for name, weight in selector.state_dict().items()}
    if own == {name: weight.shape for name, weight in weights.items()}:
        selector.load_state_dict(weights)
        _take_words(model, tokenizer, words, spelled)


def _store(
    weights: Mapping[str, torch.Tensor],
    embeddings: torch.Tensor,
    words: Sequence[str],
    folder: Path,
) -> None:
    """What `_stored` reads: 16-bit numbers."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    every = {**weights, _WORDS: embeddings}
    half = {name: each.detach().to(torch.float16).contiguous() for name, each in every.items()}
    save_file(half, folder / _FILE, metadata={_WORDS: json.dumps(list(words))})


def _stored(folder: Path) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Weights by name, and the words whose embeddings are among them."""
    from safetensors import safe_open

    with safe_open(folder / _FILE, framework="pt") as stored:
        spelled = json.loads(stored.metadata()[_WORDS])
        return {name: stored.get_tensor(name).float() for name in stored.keys()}, spelled  # noqa: SIM118


def _take_words(model: Any, tokenizer: Any, words: torch.Tensor, spelled: list[str]) -> None:
    """Embeddings by the words' names; words that the model does not have are left out."""
    known = tokenizer.get_vocab()
    rows = [number for number, word in enumerate(spelled) if word in known]
    table = model.get_input_embeddings().weight
    table[[known[spelled[number]] for number in rows]] = words[rows]


def _is_word(name: str) -> bool:
    return name.endswith(("embed_tokens.weight", "lm_head.weight"))


def picture_encoder(size: TinySize) -> Any:
    """The untrained encoder of pictures alone."""
    from transformers import CLIPVisionModel

    return CLIPVisionModel(_vision_config(size))


def save_eyes(eyes: Any, colours: Any, folder: Path) -> None:
    """The encoder's weights, and those of the linear layer that reads a patch's colour from them,
    as 16-bit numbers, for `tiny_model`."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        **eyes.state_dict(),
        **{f"colour.{name}": weight for name, weight in colours.state_dict().items()},
    }
    half = {name: weight.to(torch.float16).contiguous() for name, weight in weights.items()}
    save_file(half, folder / _FILE)


def _vision_config(size: TinySize) -> Any:
    from transformers import CLIPVisionConfig

    return CLIPVisionConfig(
        hidden_size=size.picture_width,
        intermediate_size=2 * size.picture_width,
        num_hidden_layers=size.picture_layers,
        num_attention_heads=4,
        image_size=PICTURE_PX,
        patch_size=PATCH_PX,
        projection_dim=size.picture_width,
    )


def _spread_numbers(weight: Any, tokenizer: Any) -> None:
    """Rows of numbers: soft steps along their values and along their sizes, both, and the square;
    nothing else, so that none is known by heart."""
    import torch

    ids = [tokenizer.convert_tokens_to_ids(number) for number in _NUMBERS]
    value = torch.tensor([float(number) for number in _NUMBERS])
    weight.normal_(0, SPREAD)
    weight[ids] = number_embeddings(value, weight.shape[1])


def number_embeddings(value: torch.Tensor, width: int) -> torch.Tensor:
    """(..., width): as the embeddings of numbers begin, of any number."""
    import torch

    size = value.abs()
    features = [torch.tanh(2 * (value - at)) for at in torch.arange(-2, 5.5, 0.5)]
    features += [1.5 * torch.tanh(4 * (size - at)) for at in (0.1, 0.25, 0.5, 0.75, 1, 1.5)]
    features += [value / 3, size.clamp(max=3) - 1, size.clamp(max=2) ** 2 - 1]
    found = torch.zeros(*value.shape, width)
    found[..., : len(features)] = SPREAD * torch.stack(features, dim=-1)
    return found


SPREAD = 0.3
"""Deviation of a word's embedding."""
_OPT_OFFSET = 2  # of its first position among the learned ones
_WORDS = "words"
_SURE = 4.7  # the usual logit of a patch's own colour
