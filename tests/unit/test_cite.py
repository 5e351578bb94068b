"""Whom a dataset cites: the models in its record, with revision and licence, and their papers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from massannot.dataset import record as run_record
from massannot.dataset.layout import Layout
from massannot.dataset.publish import RECORD as PUBLISHED
from massannot.dataset.publish import publish
from massannot.dataset.record import LoadedWeights
from massannot.errors import UsageError
from massannot.jobs.cite import AUTHORS, METHOD, PAPERS, TITLE, cite
from massannot.models.profiles import PROFILES
from tests.unit.small_dataset import RECORD, write_small_dataset

ROOT = Path(__file__).parents[2]

DINO, COTRACKER = "IDEA-Research/grounding-dino-tiny", "facebook/cotracker3/scaled_offline.pth"
MODELS = (
    LoadedWeights("grounding_dino", DINO, "a2bb", "d" * 64, "apache-2.0", 9),
    LoadedWeights("cotracker3", COTRACKER, "", "e" * 64, "cc-by-nc-4.0", 9),
    LoadedWeights("lucas_kanade", "", "", "", "Apache-2.0 (OpenCV)", 0),
    LoadedWeights("oracle_depth", "", "scenes 3", "", "", 0),
)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A finished run of two models with weights, one without, and one oracle."""
    layout = write_small_dataset(tmp_path / "out")
    run_record.add_weights(layout, RECORD, MODELS)
    return layout.out


def test_every_model_stands_with_weights_revision_and_licence(out: Path) -> None:
    lines = cite(out).as_text().splitlines()
    assert f"% grounding_dino: {DINO} @ a2bb, licence apache-2.0, sha256 {'d' * 64}" in lines
    assert "% lucas_kanade: no weights, Apache-2.0 (OpenCV)" in lines
    assert "% oracle_depth: no weights" in lines
    assert "% the strictest licence of the weights: cc-by-nc-4.0" in lines


def test_only_the_papers_of_models_that_answered_are_cited(out: Path) -> None:
    used = [PAPERS[name].key for name in ("grounding_dino", "cotracker3", "lucas_kanade")]
    assert list(cite(out).bibtex) == ["massannot", *used, METHOD.key]


def test_the_text_is_a_bib_file(out: Path) -> None:
    entry = re.compile(r"@(misc|software|inproceedings)\{\w+,\n(  \w+ = \{.*\},\n)+\}")
    head, *entries = cite(out).as_text().split("\n\n")
    assert all(line.startswith("% ") for line in head.splitlines())
    assert len(entries) == 5
    for text in entries:
        assert entry.fullmatch(text)
        assert text.count("{") == text.count("}")


def test_a_published_dataset_cites_what_its_run_cited(out: Path, tmp_path: Path) -> None:
    publish(out, tmp_path / "given-away", partial=True)
    assert cite(tmp_path / "given-away") == cite(out)


def test_a_published_dataset_that_names_no_models_says_where_they_stand(tmp_path: Path) -> None:
    (tmp_path / PUBLISHED).write_text(json.dumps({"recipe": {}, "digest": "0", "files": []}))
    with pytest.raises(UsageError, match=r"README\.md lists them"):
        cite(tmp_path)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="found no record of a run"):
        cite(tmp_path)


def test_a_run_whose_models_are_not_loaded_yet_cites_the_software(tmp_path: Path) -> None:
    citation = cite(write_small_dataset(tmp_path).out)
    assert list(citation.bibtex) == ["massannot", METHOD.key]
    assert "% no model is recorded" in citation.as_text()
    assert f"version = {{{citation.version}}}" in citation.bibtex["massannot"]


def test_every_model_of_every_profile_has_a_paper() -> None:
    files = {model.adapter.partition(":")[0] for profile in PROFILES for model in profile.models}
    cards = {"sam2.propagator": "sam2_video", "cotracker3.tracker": "cotracker3",
             "sam3.video": "sam3_video"}  # fmt: skip
    assert {cards.get(file, file) for file in files} == set(PAPERS)


@pytest.mark.skipif(not (ROOT / "CITATION.cff").exists(), reason="an sdist or an older checkout")
def test_the_software_is_cited_as_citation_cff_says() -> None:
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f'title: "{TITLE}"' in text
    assert f"name: {AUTHORS}" in text


def test_a_run_of_the_first_version_is_cited(tmp_path: Path) -> None:
    """Its weights stand in run.json itself."""
    layout = Layout(tmp_path)
    layout.run.mkdir()
    record = {
        "identity": {"recipe": {}, "sampling": "Sampling(fps=10.0)", "prompts": []},
        "digest": "0",
        "notes": [],
        "weights": [vars(MODELS[0])],
        "starts": [{"command": "annotate", "versions": {"massannot": "0.0.9"}}],
    }
    (layout.run / "run.json").write_text(json.dumps(record))
    citation = cite(tmp_path)
    assert citation.models == MODELS[:1]
    assert citation.version == "0.0.9"
