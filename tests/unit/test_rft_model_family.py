"""What a family makes of a picture, of a box, and of a prompt's tokens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from massannot.errors import UsageError
from massannot.questions.model_families import FAMILIES, Media, family, token_counter
from massannot.questions.prompts import VideoPrompt
from tests.tiny_processor import AROUND, write_processor

qwen2_vl = pytest.importorskip("transformers.models.qwen2_vl.image_processing_pil_qwen2_vl")
QWEN25, QWEN3 = FAMILIES["qwen2_5_vl"], FAMILIES["qwen3_vl"]
SIDES = st.integers(32, 4000)


@pytest.mark.parametrize("name", FAMILIES)
@given(width=SIDES, height=SIDES)
def test_a_picture_is_resized_as_transformers_resizes_it(
    name: str, width: int, height: int
) -> None:
    one = family(name)
    theirs = qwen2_vl.smart_resize(
        height, width, factor=one.factor, min_pixels=one.least_pixels, max_pixels=one.max_pixels
    )
    assert one.resized((width, height)) == theirs[::-1]


@pytest.mark.parametrize("name", FAMILIES)
@given(width=SIDES, height=SIDES)
def test_a_resized_picture_is_not_resized_again(name: str, width: int, height: int) -> None:
    one = family(name)
    once = one.resized((width, height))
    assert one.resized(once, max_pixels=16384 * one.factor**2) == once


@given(width=SIDES, height=SIDES, n_frames=st.integers(1, 64).map(lambda half: 2 * half))
def test_qwen3_vl_does_not_resize_the_frames_of_a_film_again(
    width: int, height: int, n_frames: int
) -> None:
    """It limits a film's pixels as a whole; the limits are those of its published processors."""
    qwen3_vl = pytest.importorskip("transformers.models.qwen3_vl.video_processing_qwen3_vl")
    once = QWEN3.resized((width, height))
    limits = {"min_pixels": 4 * 32**2, "max_pixels": 24 * 1024 * 32**2}
    again = qwen3_vl.smart_resize(n_frames, once[1], once[0], factor=32, **limits)
    assert again == once[::-1]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_picture_has_as_many_tokens_as_the_processor_makes_of_it(name: str) -> None:
    one = family(name)
    size = one.resized((640, 360))
    limits = {"shortest_edge": one.least_pixels, "longest_edge": one.max_pixels}
    processor = qwen2_vl.Qwen2VLImageProcessorPil(
        patch_size=one.factor // 2, merge_size=2, size=limits
    )
    grid = processor(images=[Image.new("RGB", size)], return_tensors="np")["image_grid_thw"]
    assert one.n_tokens(size) == grid[0].prod() // 4


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("qwen2_5_vl", "<box>[210, 0, 420, 112]</box>", id="in pixels of 420x224"),
        pytest.param("qwen3_vl", "<box>[500, 0, 1000, 500]</box>", id="thousandths"),
    ],
)
def test_a_box_in_a_text_is_written_as_the_family_reads_it(name: str, expected: str) -> None:
    one = family(name)
    resized = one.resized((640, 360))
    found = one.text(
        "Is <box>[320, 0, 640.0, 180]</box> a ball [1, 2]?", source=(640, 360), resized=resized
    )
    assert found == f"Is {expected} a ball [1, 2]?"


@pytest.mark.parametrize("before", ["bounding box coordinates ", "bbox: ", '"bbox_2d": '])
def test_so_is_a_box_behind_the_words_for_one(before: str) -> None:
    one = family("qwen3_vl")
    text = f"the car with {before}[320, 0, 640, 180] at [1, 2, 3, 4]"
    found = one.text(text, source=(640, 360), resized=one.resized((640, 360)))
    assert found == f"the car with {before}[500, 0, 1000, 500] at [1, 2, 3, 4]"


def test_a_family_and_a_size_that_do_not_exist_are_refused() -> None:
    with pytest.raises(UsageError, match="qwen2_5_vl, qwen3_vl"):
        family("llava")
    with pytest.raises(UsageError, match="65536"):
        QWEN3.resized((640, 360), max_pixels=1000)


PROMPT = VideoPrompt(
    frames=(0, 3, 6, 9), times_s=(1.0, 1.5, 2.0, 2.5), profile="Motion Profile\n", question="Up?"
)
IMAGES = "1.00 s:\n\n1.50 s:\n\n2.00 s:\n\n2.50 s:\n\nMotion Profile\n\nUp?"
VIDEO = "Frames at 1.00, 1.50, 2.00, 2.50 s:\n\nMotion Profile\n\nUp?"


@pytest.mark.parametrize(
    ("name", "media", "expected"),
    [
        pytest.param("qwen2_5_vl", "images", len(IMAGES) + 4 * (2 + 8 * 4), id="4 pictures"),
        pytest.param("qwen2_5_vl", "video", len(VIDEO) + 2 + 2 * 8 * 4, id="two frames are one"),
        pytest.param("qwen3_vl", "images", len(IMAGES) + 4 * (2 + 7 * 3), id="larger patches"),
        pytest.param(
            "qwen3_vl", "video", len(VIDEO) + 2 * (len("<0.2 seconds>") + 2 + 7 * 3), id="and times"
        ),
    ],
)
def test_tokens_are_those_of_the_text_the_marks_and_the_pictures(
    tmp_path: Path, name: str, media: Media, expected: int
) -> None:
    one = family(name)
    folder = write_processor(tmp_path, patch_size=one.factor // 2, merge_size=2)
    count = token_counter(folder, family=one, size=(224, 112), media=media)
    assert count(PROMPT) == AROUND + expected


@pytest.mark.parametrize(
    ("of_pictures", "says"),
    [
        pytest.param({"patch_size": 16, "merge_size": 2}, "32 pixels", id="another family's"),
        pytest.param({"max_pixels": 9999}, "resized again", id="smaller pictures only"),
        pytest.param({"size": {"shortest_edge": 10**6}}, "resized again", id="larger ones only"),
    ],
)
def test_a_processor_that_would_resize_the_pictures_again_is_refused(
    tmp_path: Path, of_pictures: dict[str, object], says: str
) -> None:
    folder = write_processor(tmp_path, **of_pictures)
    with pytest.raises(UsageError, match=says):
        token_counter(folder, family=QWEN25, size=(224, 112), media="images")


@pytest.mark.parametrize(
    ("most", "fits"), [(4 * 224 * 112, True), (4 * 224 * 112 - 1, False)], ids=["just", "not"]
)
def test_a_film_that_qwen3_vl_would_resize_again_is_refused(
    tmp_path: Path, most: int, fits: bool
) -> None:
    folder = write_processor(tmp_path, patch_size=16, merge_size=2)
    limits = {"size": {"shortest_edge": 4096, "longest_edge": most}}
    (folder / "video_preprocessor_config.json").write_text(json.dumps(limits))
    count = token_counter(folder, family=QWEN3, size=(224, 112), media="video")
    if fits:
        assert count(PROMPT) > 0
    else:
        with pytest.raises(UsageError, match="films of 4 such frames would be resized again"):
            count(PROMPT)


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UsageError, match="--processor"):
            token_counter(folder, family=QWEN25, size=(224, 112), media="images")
