"""Questions as evaluators read them, and the way back: import, and scores of their samples."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from massannot import exporters
from massannot.dataset.layout import Layout
from massannot.dataset.reading import Dataset
from massannot.errors import UsageError
from massannot.exporters._published_questions import PublishOptions, publish_questions, sides
from massannot.questions.import_files import import_questions
from massannot.questions.question_view import expected_answer
from massannot.questions.scene_dataset import write_scene_questions
from massannot.rft.foreign_scores import score


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("asked") / "asked"
    names = ("hits", "faster", "which_way")
    write_scene_questions(folder, seeds=range(900_256, 900_264), names=names)
    return Dataset(Layout(folder))


def test_dsr_bench_reads_back_what_was_asked(asked: Dataset, tmp_path: Path) -> None:
    written = exporters.exporter("dsr-bench").export(asked, tmp_path)
    rows = {row["question_id"]: row for row in asked.table("questions").to_pylist()}
    for file in written.files:
        found = import_questions([file])
        assert not found.refused
        assert all(Path(question.uri).is_file() for question in found.questions)
        assert len(found.questions) == len(rows) - len(written.left_out) > 0
    for row in pq.read_table(written.files[0]).to_pylist():
        truth = expected_answer(rows[row["question_id"]])
        right = row["options"]["ABCD".index(row["answer"])]
        assert truth.read(right[3:]) == truth.value


def test_a_perfect_models_samples_of_lmms_eval_score_all(asked: Dataset, tmp_path: Path) -> None:
    task, code, rows = exporters.exporter("lmms-eval").export(asked, tmp_path).files
    spec = importlib.util.spec_from_file_location("task_utils", code)
    assert spec is not None
    assert spec.loader is not None
    utils: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(utils)
    docs = pq.read_table(rows).to_pylist()
    assert "test: test.parquet" in task.read_text()
    assert all(Path(utils.doc_to_visual(doc)[0]).is_file() for doc in docs)
    assert all(doc["question"] in utils.doc_to_text(doc) for doc in docs)
    samples = tmp_path / "samples.jsonl"
    lines = [json.dumps({"doc": doc, "filtered_resps": [doc["answer"]]}) for doc in docs]
    samples.write_text("\n".join(lines))
    choices = {doc["question_id"] for doc in docs if doc["options"]}
    assert all(
        utils.process_results(doc, [doc["answer"]])["exact_match"] == 1.0
        for doc in docs
        if doc["question_id"] in choices
    )
    found = score(samples, data=asked.layout.out)
    assert [row.accuracy.value for row in found.rows if row.by == "all"] == [1.0]


def videos(n: int, **split: str) -> list[dict[str, Any]]:
    """Rows of `questions`, two a video."""
    return [
        {"uri": f"v{k}", "video_id": f"v{k}", "clip_ids": [], "split": split.get(f"v{k}")}
        for k in range(n) for _ in range(2)
    ]  # fmt: skip


def test_a_published_video_is_on_one_side_and_stays_where_a_manifest_put_it() -> None:
    rows = videos(22, v3="test", v4="val")
    video_of = {row["uri"]: row["video_id"] for row in rows}
    found = sides(rows, rows, video_of, PublishOptions(val=0.2, test=0.1))
    assert [found["v3"], found["v4"]] == ["test", "val"]
    assert sorted(found.values()) == ["test"] * 3 + ["train"] * 14 + ["val"] * 5
    assert found == sides(rows[::-1], rows[::-1], video_of, PublishOptions(val=0.2, test=0.1))
    with pytest.raises(UsageError, match="2 videos: found too few"):
        sides(videos(2), videos(2), video_of, PublishOptions())
    none = sides(videos(2), videos(2), video_of, PublishOptions(val=0, test=0))
    assert set(none.values()) == {"train"}


def test_only_questions_with_programs_are_published(asked: Dataset, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match="found no programs, expected what `massannot questions ask OUT"
    ):
        publish_questions(asked.layout.out, tmp_path / "new", options=PublishOptions())
