"""The dataset card: which licence it carries."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from massannot.dataset.card import card_text, strictest_license
from massannot.dataset.record import LoadedWeights
from tests.unit.small_dataset import RECORD, write_small_dataset

ROWS = [
    ((), "", "no weights"),
    (("apache-2.0", "mit"), "apache-2.0", "permissive ones"),
    (("apache-2.0", "cc-by-nc-4.0", "mit"), "cc-by-nc-4.0", "one for non-commercial use"),
    (("cc-by-4.0", "apache-2.0"), "cc-by-4.0", "attribution"),
    (("cc-by-nc-4.0", "untagged"), "untagged", "unknown terms"),
    (("apache-2.0", ""), "apache-2.0", "a file of the user's own"),
    (("gpl-3.0", "cc-by-4.0"), "gpl-3.0", "copyleft"),
]


def weights(*licenses: str) -> tuple[LoadedWeights, ...]:
    return tuple(
        LoadedWeights(f"model_{n}", f"owner/name-{n}", "c" * 40, "d" * 64, license, 1)
        for n, license in enumerate(licenses)
    )


@pytest.mark.parametrize(
    ("licenses", "expected"), [row[:2] for row in ROWS], ids=[row[2] for row in ROWS]
)
def test_the_strictest_licence_of_the_weights(licenses: tuple[str, ...], expected: str) -> None:
    assert strictest_license(weights(*licenses)) == expected


@pytest.mark.parametrize(
    ("licenses", "own", "head"),
    [
        (("apache-2.0", "cc-by-nc-4.0"), None, "---\nlicense: cc-by-nc-4.0\n"),
        (("untagged",), None, "---\nlicense: unknown\n"),
        (("cc-by-nc-4.0",), "mit", "---\nlicense: mit\n"),
        ((), None, "---\ntask_categories:"),
    ],
)
def test_the_card_carries_it_unless_the_dataset_has_its_own(
    licenses: tuple[str, ...], own: str | None, head: str
) -> None:
    record = replace(RECORD, weights=weights(*licenses))
    text = card_text({"clips": 1}, record=record, license=own)
    assert text.startswith(head)
    assert ("strictest of these licences" in text) == bool(licenses)


def test_weights_stand_there_with_revision_and_hash(tmp_path: Path) -> None:
    assert "No model with weights" in write_small_dataset(tmp_path).card.read_text()
    text = card_text({"clips": 1}, record=replace(RECORD, weights=weights("mit")), license=None)
    assert f"owner/name-0 {'c' * 40}, sha256 {'d' * 16}, licence mit" in text
