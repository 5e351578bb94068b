"""What every stage inherits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from massannot.clip import Clip
from massannot.errors import BadRecipe
from massannot.models.protocols import ModelCard
from massannot.stages._stage import Pipeline, Stage


@dataclass
class Lamp:
    """A model that remembers what was asked of it."""

    name: str
    calls: list[str] = field(default_factory=list)

    def setup(self, *, device: str) -> None:
        self.calls.append(f"setup on {device}")

    def destroy(self) -> None:
        self.calls.append("destroy")

    def card(self) -> ModelCard:
        return ModelCard(self.name)


@dataclass(frozen=True)
class TwoLamps(Stage):
    reads: ClassVar[tuple[str, ...]] = ("frames",)
    left: Lamp
    right: Lamp
    brightness: int = 3

    def process(self, clip: Clip) -> Clip:
        return clip


def test_setup_and_destroy_reach_every_model_among_the_fields() -> None:
    stage = TwoLamps(Lamp("left"), Lamp("right"))
    stage.setup(device="cpu")
    stage.destroy()
    assert stage.left.calls == stage.right.calls == ["setup on cpu", "destroy"]


def test_cards_name_every_model_in_the_order_of_the_fields() -> None:
    assert [card.name for card in TwoLamps(Lamp("a"), Lamp("b")).cards()] == ["a", "b"]


def test_a_stage_is_named_after_its_class() -> None:
    assert TwoLamps(Lamp("a"), Lamp("b")).name == "two_lamps"


class Unnamed:
    """A model that does not say its options."""


@dataclass(frozen=True)
class Holder(Stage):
    model: object

    def process(self, clip: Clip) -> Clip:
        return clip


def test_a_model_that_does_not_say_its_options_is_refused_where_recipes_are_compared() -> None:
    with pytest.raises(BadRecipe, match="holds a Unnamed"):
        Pipeline("one", (Holder(Unnamed()),)).describe()
