"""A tokenizer of bytes with Qwen's marks and a chat template, as a model's folder holds them."""

from __future__ import annotations

import json
from pathlib import Path

MARKS = ("im_start", "im_end", "vision_start", "vision_end", "image_pad", "video_pad")
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}{% else %}"
    "{% for part in message.content %}{% if part.type == 'text' %}{{ part.text }}"
    "{% else %}<|vision_start|><|{{ part.type }}_pad|><|vision_end|>{% endif %}{% endfor %}"
    "{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
AROUND = len("user\n") + len("\n") + len("assistant\n") + 3
"""Tokens of a conversation of one empty message: its bytes, and three marks."""


def write_processor(folder: Path, **of_pictures: object) -> Path:
    """A byte is a token, a mark is one; `of_pictures` is preprocessor_config.json."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    whole = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        additional_special_tokens=[f"<|{mark}|>" for mark in MARKS],
    )
    whole.chat_template = TEMPLATE
    whole.save_pretrained(folder)
    if of_pictures:
        (folder / "preprocessor_config.json").write_text(json.dumps(of_pictures))
    return folder
