"""LLaVA on OPT, whose positions are learned: a line of the profile is found by its place. Positions
are counted without padding, in training as in generation.

Registered, because TRL reads the model that reinforcement starts from once more from its folder.
"""

from typing import ClassVar

from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
)


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
