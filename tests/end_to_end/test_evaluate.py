"""`evaluate` from a rendered and annotated folder to JSON, text and picture."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from massannot import tables
from massannot.dataset.reading import open_dataset
from massannot.evaluate import dataset_scores, reliability_picture
from massannot.jobs.annotate import Annotated
from massannot.scenes.scene_record import SceneLibrary
from massannot.storage.parquet import read_parquet, write_parquet


@pytest.fixture(scope="module")
def evaluation(plain: Annotated, world: SceneLibrary) -> dataset_scores.Evaluation:
    assert plain.dataset is not None
    return dataset_scores.evaluate(plain.dataset, world)


def test_json_has_scores_coverage_and_quality(evaluation: dataset_scores.Evaluation) -> None:
    content = json.loads(json.dumps(dataset_scores.as_json(evaluation), allow_nan=False))
    assert set(content) == {"scores", "coverage", "quality_bins"}
    stages = {row["stage"] for row in content["scores"]}
    assert {"positions", "motions", "quality"} <= stages
    kinds = {(row["what"], row["axis"]) for row in content["coverage"]}
    assert {("position", "z"), ("position", "length"), ("motion_length", "length")} <= kinds
    whole = [row for row in content["coverage"] if row["subgroup"] == "all"]
    assert {row["nominal"] for row in whole} == {50, 68, 90}
    assert all(row["n_clips"] <= 1 and not row["judged"] for row in whole)


def test_oracles_give_positions_and_motions_near_the_truth(
    evaluation: dataset_scores.Evaluation,
) -> None:
    value = {f"{row.stage} {row.metric}": row.value.value for row in evaluation.scores}
    assert value["positions median_error_m"] < 0.1
    assert value["motions median_error_still_camera_m"] < 0.3
    assert value["motions median_error_world_m"] < 0.3


def test_every_score_is_split_by_where_the_pictures_come_from(
    plain: Annotated, world: SceneLibrary, evaluation: dataset_scores.Evaluation, tmp_path: Path
) -> None:
    assert plain.dataset is not None
    assert evaluation.by_source == ()
    out = tmp_path / "out"
    shutil.copytree(plain.dataset.layout.out, out)
    for path in (out / "data" / "videos").glob("*.parquet"):
        rows = read_parquet(path, name="videos").to_pylist()
        stated = [{**row, "source_kind": "rendered", "generator": "massannot"} for row in rows]
        spec = tables.spec("videos")
        write_parquet(path, [spec.from_rows(stated)], spec=spec)
    split = dataset_scores.evaluate(open_dataset(out), world)
    assert dataset_scores.scores_as_json(split.scores) == dataset_scores.scores_as_json(
        evaluation.scores
    )
    groups = ("source_kind=rendered", "generator=massannot")
    for group in groups:
        mine = [replace(row, subgroup="all") for row in split.by_source if row.subgroup == group]
        whole = dataset_scores.scores_as_json(split.scores)
        assert dataset_scores.scores_as_json(mine) == whole
        assert group in dataset_scores.as_text(split)
        assert {row.what for row in split.coverage if row.subgroup == group} == {
            row.what for row in split.coverage
        }
    rows = dataset_scores.as_json(split)["scores"]
    assert {row["subgroup"] for row in rows} == {"all", *groups}


def test_the_text_has_both_tables(evaluation: dataset_scores.Evaluation) -> None:
    text = dataset_scores.as_text(evaluation)
    assert "median_error_still_camera_m" in text
    assert "interval of" in text or "states no interval" in text


def test_the_text_leaves_out_what_could_not_be_measured_and_says_so(
    evaluation: dataset_scores.Evaluation,
) -> None:
    assert "- .. -" not in dataset_scores.as_text(evaluation), "one clip has no interval"
    lines = dataset_scores.scores_as_text(evaluation.scores).splitlines()
    unknown = [row for row in evaluation.scores if row.value.value != row.value.value]
    assert 0 < len(unknown) < len(evaluation.scores)
    assert len(lines) == 2 + len(evaluation.scores) - len(unknown)
    assert not [line for line in lines if line.split()[2] == "-"]
    assert lines[-1].startswith(f"{len(unknown)} more scores not shown: ")
    assert "not shown" not in dataset_scores.scores_as_text(
        [row for row in evaluation.scores if row not in unknown]
    )


def test_the_picture_is_an_svg(evaluation: dataset_scores.Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "pictures" / "reliability.svg"
    reliability_picture.write(path, evaluation)
    assert ET.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
