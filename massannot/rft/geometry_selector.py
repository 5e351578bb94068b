"""Geometry as tokens in a prompt: two Q-Formers choose what the question needs of a clip's
points (DSR Suite's Geometry Selection Module, arXiv 2512.20557), or all points go in, pooled.

The semantic condenser asks the question's embeddings with N learned queries; what it returns asks
the clip's points in the relevant-geometry selector, whose N answers go into the language model at
the places of the prompt that geometry_tokens.py wrote. `attach` puts this behind the embedding of
any model of transformers that embeds its own ids, so that position ids, masks and pictures stay
what they are. Nothing is added where a prompt has no such places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import safe_open
from torch import nn

from massannot.counts import counted
from massannot.errors import UsageError
from massannot.rft.geometry_tokens import (
    BASE,
    DIGITS,
    N_DIGITS,
    N_FEATURES,
    SELECTOR,
    Bank,
    BankEntry,
)

Choice = Literal["selected", "all"]


@dataclass(frozen=True, kw_only=True)
class SelectorOptions:
    choice: Choice = "selected"
    """selected: by the question; all: each frame's points, pooled, whatever is asked."""
    n_tokens: int = 32
    """N; of all points, as many as are left after pooling."""
    width: int = 256
    heads: int = 4
    layers: int = 2
    """Of each Q-Former."""
    model_width: int = 0
    """Of the language model's embeddings."""
    size: float = 0.02
    """Deviation of a token's numbers to begin with: that of a word's embedding."""
    first_id: int = 0
    """Of the words `DIGITS`, which follow each other."""


class QFormer(nn.Module):
    """Queries (B, N, W) read a memory (B, M, W); `known` (B, M) says what is there."""

    def __init__(self, *, width: int, heads: int, layers: int) -> None:
        super().__init__()
        block = {"d_model": width, "nhead": heads, "dim_feedforward": 2 * width, "dropout": 0.0}
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(**block, batch_first=True, norm_first=True)
            for _ in range(layers)
        )

    def forward(
        self, queries: torch.Tensor, memory: torch.Tensor, known: torch.Tensor
    ) -> torch.Tensor:
        for layer in self.layers:
            queries = layer(queries, memory, memory_key_padding_mask=~known)
        return queries


class GeometrySelector(nn.Module):
    """Entries of a bank in, (B, N, model_width) out."""

    def __init__(self, options: SelectorOptions) -> None:
        super().__init__()
        self.options = options
        width, of_model = options.width, options.model_width
        self.points = nn.Sequential(
            nn.Linear(N_FEATURES, width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.LayerNorm(width),
        )
        self.names = nn.Linear(of_model, width)
        self.out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, of_model))
        if options.choice == "selected":
            shape = {"width": width, "heads": options.heads, "layers": options.layers}
            self.words = nn.Linear(of_model, width)
            self.queries = nn.Parameter(torch.randn(options.n_tokens, width))
            self.condenser = QFormer(**shape)
            self.relevant = QFormer(**shape)
        last = self.out[1]
        nn.init.normal_(last.weight, 0, options.size / width**0.5)
        nn.init.zeros_(last.bias)

    def forward(
        self, entries: Sequence[BankEntry], words: torch.Tensor, *, words_learn: bool = False
    ) -> torch.Tensor:
        """`words`: the language model's table of embeddings, read and not trained here unless
        `words_learn`. Raises UsageError for clips whose points differ in number where all go in."""
        like = self.names.weight
        table = (words if words_learn else words.detach()).to(like)
        memory, valid = self._memory(entries, table)
        if self.options.choice == "all":
            return self.out(self._pooled(memory, valid, entries[0].geometry.grid))
        question, asked = _padded([entry.question for entry in entries], like.device)
        scale = self.options.size
        read = self.words(nn.functional.embedding(question, table) / scale)
        queries = self.queries.expand(len(entries), -1, -1)
        condensed = self.condenser(queries, read, asked)
        chosen: torch.Tensor = self.out(self.relevant(condensed, memory, valid))
        return chosen

    def _memory(
        self, entries: Sequence[BankEntry], table: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """((B, P, width), (B, P)): each point with the name of the thing that it lies on. Where a
        clip has no point, all count, so that attention has something to read."""
        sizes = {entry.geometry.grid for entry in entries}
        if len(sizes) > 1:
            raise UsageError(f"geometry tokens: found grids {sorted(sizes)}, expected one")
        device, dtype = table.device, table.dtype
        features = torch.stack([torch.from_numpy(entry.geometry.features) for entry in entries])
        valid = torch.stack([torch.from_numpy(entry.geometry.valid) for entry in entries])
        valid = valid | ~valid.any(dim=1, keepdim=True)
        thing = torch.stack([torch.from_numpy(entry.geometry.thing) for entry in entries])
        most = max(1, *(len(entry.names) for entry in entries))
        named = torch.zeros(len(entries), most + 1, table.shape[1], device=device, dtype=dtype)
        for row, entry in enumerate(entries):
            for number, name in enumerate(entry.names, start=1):
                named[row, number] = table[list(name)].mean(dim=0) / self.options.size
        names = self.names(named) * (torch.arange(most + 1, device=device) > 0)[:, None]
        of_points = names.gather(1, thing.to(device)[..., None].expand(-1, -1, names.shape[-1]))
        return self.points(features.to(device, dtype)) + of_points, valid.to(device)

    def _pooled(
        self, memory: torch.Tensor, valid: torch.Tensor, grid: tuple[int, int, int]
    ) -> torch.Tensor:
        """(B, N, width): means over squares of each frame. Raises UsageError for another N."""
        n_frames, side, _ = grid
        each = self.options.n_tokens // n_frames
        across = round(each**0.5)
        if n_frames * across**2 != self.options.n_tokens or side % across:
            raise UsageError(
                f"geometry tokens: found {self.options.n_tokens} for "
                f"{counted(n_frames, 'frame')} of {side}x{side} places, expected a "
                "square number a frame that divides them"
            )
        part = side // across
        shape = (len(memory), n_frames, across, part, across, part, -1)
        weight = valid[..., None].to(memory)
        total = (memory * weight).reshape(shape).sum(dim=(3, 5))
        count = weight.reshape(shape).sum(dim=(3, 5)).clamp(min=1)
        return (total / count).flatten(1, 3)


def attach(model: Any, options: SelectorOptions) -> None:
    """Put a selector behind the model's embedding; `model.geometry_bank` says what its prompts
    are about. Its weights are saved and loaded with the model's own."""
    setattr(model, SELECTOR, GeometrySelector(options))
    model.geometry_bank = ()

    def replaced(embedding: Any, args: tuple[Any, ...], found: torch.Tensor) -> torch.Tensor:
        ids = args[0]
        digits = ids - options.first_id
        places = _whole_runs((digits >= 0) & (digits < BASE), options.n_tokens)
        if not places.any():
            return found
        addresses = digits[places].view(-1, options.n_tokens)
        entries = [_entry(model.geometry_bank, address) for address in addresses]
        tokens = getattr(model, SELECTOR)(entries, embedding.weight)
        return found.masked_scatter(places[..., None], tokens.to(found.dtype))

    model.get_input_embeddings().register_forward_hook(replaced)


def attach_to(model: Any, processor: Any, *, choice: Choice, n_tokens: int, width: int) -> None:
    """`attach`, for a model from a hub: its tokenizer learns the words of the places, its table of
    embeddings has a row for each, and the selector's own weights are read where its folder has
    them, as after a training."""
    tokenizer = processor.tokenizer
    tokenizer.add_special_tokens(
        {"additional_special_tokens": list(DIGITS)}, replace_extra_special_tokens=False
    )
    ids = tokenizer.convert_tokens_to_ids(list(DIGITS))
    if ids != list(range(ids[0], ids[0] + BASE)):
        raise UsageError(f"geometry tokens: found ids {ids} of {DIGITS[0]}.., expected a sequence")
    table = model.get_input_embeddings().weight
    if ids[-1] >= len(table):
        model.resize_token_embeddings(ids[-1] + 1)
        table = model.get_input_embeddings().weight
    options = SelectorOptions(
        choice=choice,
        n_tokens=n_tokens,
        width=width,
        model_width=table.shape[1],
        size=float(table.detach().float().std()),
        first_id=ids[0],
    )
    attach(model, options)
    selector = getattr(model, SELECTOR).to(device=table.device, dtype=table.dtype)
    trained = _weights_in(Path(model.config._name_or_path))
    if trained:
        selector.load_state_dict(trained)


def _weights_in(folder: Path) -> dict[str, torch.Tensor]:
    """The selector's weights among a saved model's; none where it has none."""
    found = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as weights:
            for name in weights.keys():  # noqa: SIM118
                if name.startswith(f"{SELECTOR}."):
                    found[name.removeprefix(f"{SELECTOR}.")] = weights.get_tensor(name)
    return found


def _whole_runs(of_digits: torch.Tensor, length: int) -> torch.Tensor:
    """(B, L): digits that follow each other in runs of exactly that length. Others are words that a
    model under training said."""
    begins = of_digits.clone()
    begins[:, 1:] &= ~of_digits[:, :-1]
    run = begins.cumsum(dim=1) * of_digits + begins.shape[1] * torch.arange(
        len(begins), device=begins.device
    ).unsqueeze(1)  # a number for each run of each row; the first of a row is no run
    sizes = torch.bincount(run[of_digits], minlength=int(run.max()) + 1)
    return of_digits & (sizes[run] == length)


def _entry(bank: Bank, digits: torch.Tensor) -> BankEntry:
    number = sum(int(digit) * BASE**place for place, digit in enumerate(digits[:N_DIGITS]))
    if number >= len(bank):
        raise UsageError(
            f"geometry tokens: found a prompt of row {number}, expected one of "
            f"{counted(len(bank), 'row')} in the model's geometry_bank"
        )
    return bank[number]


def _padded(
    lists: Sequence[Sequence[int]], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """(ids (B, L), which are there (B, L))."""
    length = max(map(len, lists))
    ids = torch.zeros(len(lists), length, dtype=torch.long, device=device)
    there = torch.zeros(len(lists), length, dtype=torch.bool, device=device)
    for row, values in enumerate(lists):
        ids[row, : len(values)] = torch.tensor(values)
        there[row, : len(values)] = True
    return ids, there
