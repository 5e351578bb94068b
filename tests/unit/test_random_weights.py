"""Random weights lie as a hub would lay them, at full size, and a profile finds them offline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file

from massannot.errors import UsageError
from massannot.models.profiles import PROFILES, named
from massannot.models.text_prompts import CLS, SEP, STOP, UNKNOWN
from massannot.models.weights import Weights
from tests.random_weights import (
    ARCHITECTURES,
    write_cache,
    write_profile,
    write_repository,
    write_tokenizer,
)

PUBLISHED = {
    "facebook/sam2.1-hiera-tiny": 155_908_064,
    "facebook/sam2.1-hiera-large": 897_897_416,
    "depth-anything/Depth-Anything-V2-Small-hf": 99_173_660,
    "depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf": 99_173_660,
    "depth-anything/Depth-Anything-V2-Metric-Indoor-Large-hf": 1_341_322_868,
}
"""Bytes of model.safetensors on the hub."""

SMALLEST = "depth-anything/Depth-Anything-V2-Small-hf"


def test_every_hub_model_of_a_profile_has_known_sizes() -> None:
    wanted = {w.source for p in PROFILES for w in p.weights if w.on_hub and not w.file}
    assert wanted == set(ARCHITECTURES)


def test_the_files_are_those_of_the_hub_to_the_byte(tmp_path: Path) -> None:
    folder = write_repository(SMALLEST, tmp_path)
    assert (folder / "model.safetensors").stat().st_size == PUBLISHED[SMALLEST]
    assert {"config.json", "preprocessor_config.json", "README.md"} <= {
        path.name for path in folder.iterdir()
    }


@pytest.mark.slow
@pytest.mark.parametrize("hub_id", sorted(set(PUBLISHED) - {SMALLEST}))
def test_the_larger_files_are_those_of_the_hub_to_the_byte(tmp_path: Path, hub_id: str) -> None:
    folder = write_repository(hub_id, tmp_path)
    assert (folder / "model.safetensors").stat().st_size == PUBLISHED[hub_id]


@pytest.mark.slow
def test_a_whole_profile_is_found_offline(tmp_path: Path) -> None:
    write_profile(named("small"), tmp_path / "hub")
    code = """if True:
        from massannot.models.profiles import named
        from massannot.models.weights import require
        profile = named("small")
        print(*(found.n_bytes for found in require(profile.weights)))
        tracks = profile.model("tracks").build()
        tracks.setup(device="cpu")
        print(tracks.card().license)
    """
    bytes_found, licence = asked_offline(code, tmp_path).splitlines()
    assert len(bytes_found.split()) == 4
    assert licence == "cc-by-nc-4.0"


@pytest.mark.slow
def test_the_detectors_parameters_are_those_of_the_hub(tmp_path: Path) -> None:
    """Its published file also holds window indices, which today's network computes itself."""
    folder = write_repository("IDEA-Research/grounding-dino-tiny", tmp_path)
    state = load_file(folder / "model.safetensors")
    indices = 12 * 49 * 49 * 8
    held = sum(t.numel() * t.element_size() for t in state.values())
    assert abs(held + indices - 689_359_096) < 200_000  # names and offsets


def test_equal_seeds_give_equal_files_and_others_do_not(tmp_path: Path) -> None:
    one, same, other = (
        write_repository(SMALLEST, tmp_path / name, seed=seed)
        for name, seed in (("a", 3), ("b", 3), ("c", 4))
    )
    read = [(f / "model.safetensors").read_bytes() for f in (one, same, other)]
    assert read[0] == read[1]
    assert read[0] != read[2]


def test_a_profile_finds_them_offline_at_the_revision_it_pins(tmp_path: Path) -> None:
    weights = named("permissive-relative").model("depth").weights
    assert weights is not None
    write_cache(weights, tmp_path / "hub")
    code = """if True:
        from massannot.models.profiles import named
        from massannot.models.weights import find
        found = find(named("permissive-relative").model("depth").weights)
        print(found.revision, found.n_bytes)
    """
    assert asked_offline(code, tmp_path).split() == [weights.revision, str(PUBLISHED[SMALLEST])]


def asked_offline(code: str, hf_home: Path) -> str:
    """What `code` prints in a process that may not ask the hub."""
    environment = os.environ | {
        "HF_HOME": str(hf_home),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    return done.stdout


def test_the_tokenizer_has_berts_marks_and_spells_what_it_does_not_know(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert len(tokenizer) == 30522
    ids = tokenizer("a red ball . zebra .")["input_ids"]
    assert (ids[0], ids[-1], ids.count(STOP)) == (CLS, SEP, 2)
    assert tokenizer.convert_ids_to_tokens(ids[1:4]) == ["a", "red", "ball"]
    assert tokenizer.convert_ids_to_tokens(ids[5:-2]) == ["z", "##e", "##b", "##r", "##a"]
    assert UNKNOWN not in ids


def test_sizes_that_nobody_wrote_down_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no sizes for 'someone/else'"):
        write_repository("someone/else", tmp_path)


def test_metric_and_relative_files_say_which_they_are(tmp_path: Path) -> None:
    write_repository(SMALLEST, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["depth_estimation_type"] == "relative"
    assert Weights(str(tmp_path)).on_hub is False
    assert torch.isfinite(load_file(tmp_path / "model.safetensors")["head.conv3.weight"]).all()
