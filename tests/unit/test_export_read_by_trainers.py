"""Exports as the trainers' own loaders read them; each test runs where its trainer is installed.

verl and ms-swift pin much and are in no extra of ours: `pip install --no-deps verl ms-swift` into
an environment of their own is enough to load data.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from massannot import exporters
from massannot.dataset.reading import Dataset
from massannot.exporters._training import TrainingOptions
from massannot.questions.model_families import Media
from tests.asked_scenes import annotate, questions_about, write_world
from tests.tiny_processor import write_processor

IDS = ["all-3", "all-4", "one-3", "one-4"]
TEXT_THEN = {
    "images": ["text", "image", "text", "image", "text"],
    "video": ["text", "video", "text"],
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    world = write_world(tmp_path_factory.mktemp("world"))
    return annotate(world, tmp_path_factory.mktemp("run") / "out", [questions_about(world)])


@pytest.fixture
def no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))


def export(dataset: Dataset, folder: Path, name: str, media: Media) -> None:
    options = TrainingOptions(media=media, frames=2)
    assert exporters.exporter(name).export(dataset, folder, options=options).left_out == ()


class TokenizerOnly:
    """The part of a processor that verl needs to build a conversation."""

    image_processor = None

    def __init__(self, folder: Path) -> None:
        from transformers import AutoTokenizer

        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("media", ["images", "video"])
def test_verl_builds_every_conversation(dataset: Dataset, tmp_path: Path, media: Media) -> None:
    verl = pytest.importorskip("verl.utils.dataset.rl_dataset")
    omegaconf = pytest.importorskip("omegaconf")
    export(dataset, tmp_path / "verl", "verl", media)
    processor = TokenizerOnly(write_processor(tmp_path / "processor"))
    config = {"filter_overlong_prompts": False, "cache_dir": str(tmp_path / "cache")}
    read = verl.RLHFDataset(
        str(tmp_path / "verl" / "train.parquet"),
        processor.tokenizer,
        omegaconf.OmegaConf.create(config),
        processor=processor,
    )
    assert [read[n]["extra_info"]["question_id"] for n in range(len(read))] == IDS
    for n in range(len(read)):
        content = read[n]["raw_prompt"][0]["content"]
        assert [part["type"] for part in content] == TEXT_THEN[media]
    if media == "images":
        assert content[1]["image"].size == (84, 84)
    else:
        assert (tmp_path / "verl" / content[1]["video"]).is_file()


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("media", ["images", "video"])
def test_ms_swift_reads_every_row(dataset: Dataset, tmp_path: Path, media: Media) -> None:
    swift = pytest.importorskip("swift.dataset")
    export(dataset, tmp_path / "swift", "ms-swift", media)
    read, _ = swift.load_dataset(
        [str(tmp_path / "swift" / "train.jsonl")],
        split_dataset_ratio=0.0,
        remove_unused_columns=False,
    )
    assert read["question_id"] == IDS
    assert read["solution"][2:] == ["yes", "yes"]
    for row in read:
        names = row["images"] if media == "images" else row["videos"]
        names = [name["path"] if isinstance(name, dict) else name for name in names]
        placeholder = "<image>" if media == "images" else "<video>"
        assert row["messages"][0]["content"].count(placeholder) == len(names)
        assert all((tmp_path / "swift" / name).is_file() for name in names)


@pytest.mark.usefixtures("no_network")
def test_trl_puts_every_picture_into_its_place(dataset: Dataset, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    trl = pytest.importorskip("trl.data_utils")
    export(dataset, tmp_path / "trl", "trl", "images")
    files = {"train": str(tmp_path / "trl" / "train.parquet")}
    read = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "cache"))
    for row, question_id in zip(read["train"], IDS, strict=True):
        (message,) = trl.prepare_multimodal_messages(row["prompt"], row["images"])
        found = [part["image"] for part in message["content"] if part["type"] == "image"]
        assert [image.size for image in found] == [(84, 84)] * 2
        assert row["question_id"] == question_id
