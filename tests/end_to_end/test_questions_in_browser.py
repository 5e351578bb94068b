"""A person decides about a question in a real browser."""

from __future__ import annotations

import json
from pathlib import Path

from tests.browser import Tab
from tests.end_to_end.test_page_in_browser import (  # noqa: F401
    lines_of,
    running,
    served,
    small,
    tab,
)
from tests.looked_at import clip_id_of

PANEL = ".question .review"


def said(tab: Tab, words: str) -> None:  # noqa: F811
    tab.until(f"document.querySelector('{PANEL} .said').textContent === {json.dumps(words)}")


def fill(tab: Tab, name: str, value: str) -> None:  # noqa: F811
    tab.js(f"document.querySelector('{PANEL} [name={name}]').value = {json.dumps(value)}")


def test_a_question_is_changed_accepted_and_taken_back(tab: Tab, small: Path) -> None:  # noqa: F811
    with served(small, "ada") as address:
        tab.open(f"{address}clip/{clip_id_of(0)}")
        said(tab, "Not decided")
        tab.click("[data-question-decision=reject]")
        said(tab, "Not saved: choose a reason")
        fill(tab, "question", "Where is <b>it</b> now?")
        fill(tab, "start_s", "2")
        fill(tab, "end_s", "1")
        tab.click("[data-question-decision=accept]")
        said(tab, "NOT saved: start_s: found 2, expected less than end_s, 1")
        fill(tab, "end_s", "2.5")
        tab.click("[data-question-decision=accept]")
        said(tab, "Saved: accepted")
        tab.call("Page.reload")
        said(tab, "Saved: accepted")
        assert tab.js(f"document.querySelector('{PANEL} [name=end_s]').value") == "2.5"
        assert tab.js("document.querySelector('#review .said').textContent").startswith("Not deci")
        tab.click("[data-question-decision=withdraw]")
        said(tab, "Not decided")
    first, second = lines_of(small, "ada")
    assert (first["decision"], second["decision"]) == ("accept", "withdraw")
    assert (first["kind"], first["question"]) == ("question", "Where is <b>it</b> now?")
    assert (first["start_s"], first["end_s"], first["category"]) == (2.0, 2.5, None)
