"""Geometry tokens: which rows they are of, what reaches them, and what they leave as it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from massannot.dataset.reading import open_dataset
from massannot.errors import UsageError
from massannot.exporters import geometry as exporter
from massannot.exporters.geometry import GeometryOptions
from massannot.questions.scene_dataset import write_scene_questions
from massannot.rft.geometry_selector import GeometrySelector, SelectorOptions, attach, attach_to
from massannot.rft.geometry_tokens import (
    DIGITS,
    N_FEATURES,
    BankEntry,
    ClipGeometry,
    bank_of,
    placeholder,
)
from massannot.rft.tiny_model import read_tiny, tiny_model, tiny_processor
from massannot.rft.train import give_bank, make_trainer, read_rows, train
from massannot.rft.training_recipes import GeometryTokens, Recipe, WarmUp, recipe

CHOICES = ("selected", "all")


def entry(seed: int, *, question: tuple[int, ...] = (30, 31)) -> BankEntry:
    """Eight points of two frames, one of two things at each."""
    chance = np.random.default_rng(seed)
    geometry = ClipGeometry(
        features=chance.normal(size=(8, N_FEATURES)).astype(np.float32),
        valid=np.array([True] * 7 + [False]),
        thing=chance.integers(0, 3, 8),
        names=("a ball", "a box"),
        grid=(2, 2, 2),
    )
    return BankEntry(geometry=geometry, names=((40, 41), (42,)), question=question)


def selector(choice: str, **options: Any) -> GeometrySelector:
    torch.manual_seed(0)
    chosen: dict[str, Any] = {"choice": choice, "n_tokens": 8, "width": 16, "layers": 1, **options}
    return GeometrySelector(SelectorOptions(**chosen, model_width=12, size=0.5))


WORDS = torch.randn(64, 12, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("choice", CHOICES)
def test_tokens_have_the_size_of_a_words_embedding(choice: str) -> None:
    tokens = selector(choice)([entry(0), entry(1)], WORDS)
    assert tokens.shape == (2, 8, 12)
    assert 0.2 < tokens.std() < 1.0


@pytest.mark.parametrize("choice", CHOICES)
def test_a_point_that_is_not_valid_is_not_read(choice: str) -> None:
    net, one = selector(choice), entry(0)
    features = one.geometry.features.copy()
    features[7] += 5
    other = replace(one, geometry=replace(one.geometry, features=features))
    assert torch.equal(net([one], WORDS), net([other], WORDS))
    features[0] += 5
    assert not torch.allclose(net([one], WORDS), net([other], WORDS))


def test_the_question_chooses_and_all_points_are_all_whatever_is_asked() -> None:
    one, other = entry(0), entry(0, question=(33, 34, 35))
    for choice, differs in (("selected", True), ("all", False)):
        net = selector(choice)
        assert torch.equal(net([one], WORDS), net([other], WORDS)) != differs


def test_rows_of_a_batch_do_not_see_each_other() -> None:
    """Questions of different lengths are padded."""
    net, rows = selector("selected"), [entry(0), entry(1, question=(33, 34, 35, 36))]
    together = net(rows, WORDS)
    alone = torch.cat([net([row], WORDS) for row in rows])
    assert torch.allclose(together, alone, atol=1e-6)


def test_the_name_of_a_thing_reaches_its_points_alone() -> None:
    """Tokens of all points are means over squares; here a point each."""
    net = selector("all")
    thing = np.array([0, 1, 2, 0, 1, 1, 2, 0])
    one = replace(entry(0), geometry=replace(entry(0).geometry, thing=thing))
    renamed = replace(one, names=((50,), (42,)))
    changed = (net([one], WORDS) != net([renamed], WORDS)).any(dim=-1)[0]
    assert changed.tolist() == (thing == 1).tolist()


def test_all_points_that_do_not_fit_their_places_are_refused() -> None:
    with pytest.raises(UsageError, match="found 6 for 2 frames of 2x2 places"):
        selector("all", n_tokens=6)([entry(0)], WORDS)
    with pytest.raises(UsageError, match=r"row 65536 with 8 places"):
        placeholder(65536, 8)


# --- in a model ---


def tiny(choice: str | None = "selected") -> tuple[Any, Any]:
    texts = ["Which is nearer?", "0.00 s:", "a ball", "<think> </think> <answer> A </answer>"]
    processor = tiny_processor(texts)
    options = None
    if choice is not None:
        options = {"choice": choice, "n_tokens": 8, "width": 16, "layers": 1}
    return tiny_model(processor, geometry=options), processor


def ids_of(processor: Any, numbers: list[int]) -> torch.Tensor:
    texts = [f"{placeholder(number, 8)}\nWhich is nearer?\n<answer> A" for number in numbers]
    return torch.tensor(processor.tokenizer(texts)["input_ids"])


def test_the_places_of_a_prompt_spell_its_row() -> None:
    """Rows in any order get the tokens of their own entries; the digits' own words are not read."""
    model, processor = tiny()
    bank = [entry(seed) for seed in range(40)]
    model.geometry_bank = bank
    embedding = model.get_input_embeddings()
    numbers = [37, 3, 18]
    ids = ids_of(processor, numbers)
    with torch.no_grad():
        found = embedding(ids)[:, :8]
        wanted = model.geometry_selector([bank[n] for n in numbers], embedding.weight)
        assert torch.equal(found, wanted)
        first = processor.tokenizer.convert_tokens_to_ids(DIGITS[0])
        embedding.weight[first : first + len(DIGITS)] += 1
        assert torch.equal(embedding(ids)[:, :8], wanted)


def test_nothing_of_an_answer_reaches_the_tokens() -> None:
    model, processor = tiny()
    model.geometry_bank = [entry(0)]
    ids = ids_of(processor, [0])
    other = ids.clone()
    other[0, -1] = processor.tokenizer.convert_tokens_to_ids("a ball")
    with torch.no_grad():
        one, two = (model.get_input_embeddings()(each) for each in (ids, other))
    assert torch.equal(one[:, :8], two[:, :8])
    assert not torch.equal(one[:, -1], two[:, -1])


def test_a_prompt_of_a_row_that_the_bank_does_not_have_is_refused() -> None:
    model, processor = tiny()
    with pytest.raises(UsageError, match="row 2, expected one of 0 rows"):
        model(input_ids=ids_of(processor, [2]))


def test_digits_that_a_model_says_are_words() -> None:
    """Untrained, it may say any of them behind its question."""
    model, processor = tiny()
    model.geometry_bank = [entry(0), entry(1)]
    ids = ids_of(processor, [1, 0])
    said = torch.cat([ids, ids[:, :5]], dim=1)
    with torch.no_grad():
        found, plain = (model.get_input_embeddings()(each) for each in (said, ids))
        words = torch.nn.functional.embedding(ids[:, :5], model.get_input_embeddings().weight)
    assert torch.equal(found[:, : ids.shape[1]], plain)
    assert torch.equal(found[:, ids.shape[1] :], words)


def qwen(name: str) -> Any:
    """A Qwen of random weights: two layers, pictures of 14 or 16 pixels a patch."""
    text = {"vocab_size": 200, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
            "max_position_embeddings": 256}  # fmt: skip
    tokens = {"image_token_id": 100, "video_token_id": 101, "vision_start_token_id": 102,
              "vision_end_token_id": 103}  # fmt: skip
    torch.manual_seed(0)
    if name == "qwen2_5_vl":
        from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

        text["rope_parameters"] = {"rope_type": "default", "mrope_section": [1, 1, 2],
                                   "rope_theta": 1e4}  # fmt: skip
        vision = {"depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 4,
                  "patch_size": 14, "out_hidden_size": 32, "fullatt_block_indexes": [1],
                  "window_size": 56}  # fmt: skip
        config = Qwen2_5_VLConfig(text_config=text, vision_config=vision, **tokens)
        return Qwen2_5_VLForConditionalGeneration(config)
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    text["rope_parameters"] = {"rope_type": "default", "mrope_section": [1, 1, 2],
                               "rope_theta": 1e4, "mrope_interleaved": True}  # fmt: skip
    vision = {"depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 4,
              "patch_size": 16, "out_hidden_size": 32, "deepstack_visual_indexes": [0],
              "num_position_embeddings": 16}  # fmt: skip
    return Qwen3VLForConditionalGeneration(
        Qwen3VLConfig(text_config=text, vision_config=vision, **tokens)
    )


@pytest.mark.seen("points and geometry tokens", "random weights")
@pytest.mark.parametrize("name", ["qwen2_5_vl", "qwen3_vl"])
def test_a_qwen_takes_the_tokens_in_its_embeddings_and_the_selector_alone_learns(name: str) -> None:
    """[vision, geometry, text]: a picture of four patches in one token, then 8 places."""
    model = qwen(name)
    attach(model, SelectorOptions(n_tokens=8, width=16, layers=1, model_width=32, first_id=150))
    bank = model.geometry_bank = [entry(0), entry(1)]
    patch = model.config.vision_config.patch_size
    per_picture = 3 * 2 * patch * patch
    places = [[150 + digit for digit in (row, 0, 0, 0, 0, 0, 0, 0)] for row in (0, 1)]
    ids = torch.tensor([[102, 100, 103, *row, 5, 6, 7] for row in places])
    types = (ids == 100).int()
    inputs = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "mm_token_type_ids": types,
        "pixel_values": torch.randn(8, per_picture, generator=torch.Generator().manual_seed(2)),
        "image_grid_thw": torch.tensor([[1, 2, 2]] * 2),
    }
    seen: dict[str, torch.Tensor] = {}
    layers = model.model.language_model
    layers.register_forward_pre_hook(
        lambda _, args, kwargs: seen.update(
            embeds=kwargs["inputs_embeds"], positions=kwargs["position_ids"]
        ),
        with_kwargs=True,
    )
    model.requires_grad_(False)
    model.geometry_selector.requires_grad_(True)
    logits = model(**inputs).logits
    assert logits.shape == (2, 14, 200)
    wanted = model.geometry_selector(bank, model.get_input_embeddings().weight)
    assert torch.equal(seen["embeds"][:, 3:11], wanted)
    assert seen["positions"][-3:, 0, 3:11].diff().eq(1).all()  # as text
    logits[:, -1].sum().backward()
    learned = {key for key, value in model.named_parameters() if value.grad is not None}
    own = {key for key, _ in model.named_parameters() if key.startswith("geometry_selector.")}
    assert learned == own
    model.geometry_bank = [entry(2), entry(1)]
    with torch.no_grad():
        changed = (model(**inputs).logits != logits).flatten(1).any(dim=1)
    assert changed.tolist() == [True, False]


# --- in training ---


def short(**changed: Any) -> Recipe:
    tiny = recipe("tiny")
    length = {"max_steps": 1, "per_device_train_batch_size": 8, "save_steps": 1, "warmup_steps": 0}
    tokens = GeometryTokens(selected=8, all=16, width=16)
    parts: dict[str, Any] = {
        "grpo": {**tiny.grpo, **length},
        "sft": {**tiny.sft, **length},
        "warm_up": WarmUp(steps=1, scenes=2, learning_rate=3e-3),
        "geometry": tokens,
    }
    return replace(tiny, **{**parts, **changed})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    world = tmp_path_factory.mktemp("geometry")
    write_scene_questions(
        world / "asked", seeds=range(1_000_000, 1_000_003), views=4, names=("colour",),
        depth_maps=True,
    )  # fmt: skip
    options = GeometryOptions(frames=4, grid=4)
    exporter.export(open_dataset(world / "asked"), world / "points", options=options)
    return world


@pytest.mark.parametrize("method", ["sft", "tgrpo", pytest.param("grpo", marks=pytest.mark.slow)])
def test_every_method_trains_the_selector(world: Path, method: str) -> None:
    options: dict[str, Any] = {"evidence": "frames+geometry", "geometry": world / "points"}
    (world / "paid.py").write_text("def any(completion, *, expected):\n"
                                   "    return len(completion.text) % 5 / 4\n")  # fmt: skip
    of = short(rewards=(f"{world}/paid.py:any",))
    run = world / method
    train("tiny", of, data=world / "asked", out=run, method=method, log=lambda text: None,
          **options)  # type: ignore[arg-type]  # fmt: skip
    before, after = (read_tiny(run / name)[0] for name in ("before", "model"))
    pairs = zip(before.geometry_selector.parameters(), after.geometry_selector.parameters(),
                strict=True)  # fmt: skip
    assert any(not torch.equal(one, other) for one, other in pairs)


def test_with_lora_the_selector_is_trained_whole_and_saved_with_the_model(world: Path) -> None:
    of = short(lora={"r": 2, "target_modules": "all-linear"})
    rows = read_rows(of, world / "asked", evidence="frames+geometry", geometry=world / "points")
    model, processor = tiny_for(rows)
    trainer = make_trainer(of, rows, model, processor, method="sft", out=world / "lora", seed=0)
    trained = {name for name, value in trainer.model.named_parameters() if value.requires_grad}
    assert {name for name in trained if "lora_" not in name} == {
        f"base_model.model.geometry_selector.modules_to_save.default.{name}"
        for name, _ in model.geometry_selector.original_module.named_parameters()
    }
    assert not any("geometry_selector" in name for name in trained if "lora_" in name)


def tiny_for(rows: Any) -> tuple[Any, Any]:
    texts = [part.get("text", "") for row in rows.rows for part in row["prompt"][0]["content"]]
    processor = tiny_processor([*texts, *rows.names(), "<think> </think> <answer> A B </answer>"])
    model = tiny_model(processor, geometry={"n_tokens": 8, "width": 16, "layers": 1})
    model.geometry_bank = rows.bank(processor)
    return model, processor


def test_the_bank_has_each_rows_clip_and_question(world: Path) -> None:
    of = short()
    rows = read_rows(of, world / "asked", evidence="frames+geometry", geometry=world / "points")
    _, processor = tiny_for(rows)
    bank = bank_of(rows.rows, processor.tokenizer)
    for row, found in zip(rows.rows, bank, strict=True):
        text = processor.tokenizer.decode(found.question)
        assert "Is one of the two things" in text
        assert found.geometry.grid == (4, 4, 4)
        assert {processor.tokenizer.decode(ids) for ids in found.names} == set(found.geometry.names)
        assert Path(row["geometry"]).stem == row["clip_id"]


def test_a_model_with_another_number_of_tokens_is_refused(world: Path) -> None:
    of = short(geometry=GeometryTokens(selected=12, all=16, width=16))
    rows = read_rows(of, world / "asked", evidence="frames+geometry", geometry=world / "points")
    model, processor = tiny()
    with pytest.raises(UsageError, match="found a model that gives 8, expected 12"):
        give_bank(model, rows, processor)


def test_without_its_points_a_question_is_refused_by_name(world: Path) -> None:
    with pytest.raises(UsageError, match=r"found no file for its geometry, expected one; name the"):
        read_rows(short(), world / "asked", evidence="frames+geometry")


def test_a_hubs_model_learns_the_words_of_the_places_and_finds_its_selector_again(
    tmp_path: Path,
) -> None:
    from transformers import Qwen2_5_VLForConditionalGeneration

    _, processor = tiny(None)
    model = qwen("qwen2_5_vl")
    attach_to(model, processor, choice="selected", n_tokens=8, width=16)
    first = model.geometry_selector.options.first_id
    assert first + len(DIGITS) <= len(model.get_input_embeddings().weight)
    with torch.no_grad():
        model.geometry_selector.queries.fill_(0.25)
    model.save_pretrained(tmp_path)
    again = Qwen2_5_VLForConditionalGeneration.from_pretrained(tmp_path)
    attach_to(again, processor, choice="selected", n_tokens=8, width=16)
    assert (again.geometry_selector.queries == 0.25).all()
