"""LLaVA on OPT, whose positions are learned: a line of the profile is found by its place. Positions
are counted without padding, in training as in generation."""

from transformers import LlavaForConditionalGeneration


class TinyLlava(LlavaForConditionalGeneration):
    # Where OPT keeps its embeddings, unlike the models that LLaVA was made for.
    _tied_weights_keys = {"lm_head.weight": "model.language_model.decoder.embed_tokens.weight"}  # noqa: RUF012
