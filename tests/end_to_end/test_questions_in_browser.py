"""A person decides about a question in a real browser."""

from __future__ import annotations

import json
from pathlib import Path

from massannot.exporters import mass_bench
from massannot.questions.ask.ask_dataset import Asking, ask
from massannot.questions.ask.asked_about import with_its_clips
from tests.asked_tables import write_asked_about
from tests.browser import Tab
from tests.end_to_end.test_page_in_browser import (  # noqa: F401
    first_of_sample,
    hear_again,
    lines_of,
    running,
    served,
    set_filter,
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
        hear_again(tab)
        said(tab, "Not saved: choose a reason")
        fill(tab, "question", "Where is <b>it</b> now?")
        fill(tab, "start_s", "2")
        fill(tab, "end_s", "1")
        tab.click("[data-question-decision=accept]")
        said(tab, "NOT saved: start_s: found 2, expected less than end_s, 1")
        hear_again(tab)
        said(tab, "NOT saved: start_s: found 2, expected less than end_s, 1")
        tab.js(  # once more, and at once what is right, which stands
            f"(() => {{ const panel = document.querySelector('{PANEL}'); "
            "const accept = panel.querySelector('[data-question-decision=accept]'); "
            "accept.click(); panel.querySelector('[name=end_s]').value = '2.5'; "
            "accept.click(); })()"
        )
        said(tab, "Saved: accepted")
        hear_again(tab)
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


def test_asked_questions_are_decided_on_the_pages_of_their_clips(
    tab: Tab,  # noqa: F811
    tmp_path: Path,
) -> None:
    data, dest = write_asked_about(tmp_path / "data", n_clips=2), tmp_path / "asked"
    ask(data, dest, Asking(families=("travelled_distance",), per_clip=2, even=False))
    with served(dest, "ada") as address:
        clip = first_of_sample(tab, address)
        assert "0 of 4 questions of the sample looked at by ada" in tab.js(
            "document.body.innerText"
        )
        tab.open(f"{address}clip/{clip}")
        bar = "document.querySelector('#review .said').textContent"
        tab.until(f"{bar}.startsWith('2 of 2 questions here not decided. 0 of 4 questions by ada')")
        assert tab.js("document.querySelectorAll('[data-decision]').length") == 0
        tab.key("a")  # the clip itself is not decided here
        fill(tab, "question", "How far does it travel?")
        fill(tab, "category", "way")
        fill(tab, "start_s", "0")
        fill(tab, "end_s", "1.5")
        fill(tab, "event", "It moves on a straight way.")
        tab.click("[data-question-decision=accept]")
        said(tab, "Saved: accepted")
        second = "document.querySelectorAll('.question .review')[1]"
        tab.js(f"{second}.querySelector('select').value = 'trivial'")
        tab.js(f"{second}.querySelector('[data-question-decision=reject]').click()")
        tab.until(f"{bar}.startsWith('Saved: all questions here. 2 of 4')")
        tab.key("n")
        tab.until(f"massannot.data.id !== {json.dumps(clip)}")
        tab.until(f"{bar}.startsWith('2 of 2 questions here not decided. 2 of 4')")
        tab.open(address)
        set_filter(tab, "decision", "reject")
        assert tab.js("document.querySelector('.card').dataset.clip") == clip
    lines = [json.loads(line) for line in (dest / "reviews/ada.jsonl").read_text().splitlines()]
    assert [(d["kind"], d["decision"]) for d in lines] == [
        ("question", "accept"),
        ("question", "reject"),
    ]
    mass_bench.export(with_its_clips(dest), tmp_path / "bench")
    written = (tmp_path / "bench" / mass_bench.FILE).read_text().splitlines()
    found = {line["question_id"]: line for line in map(json.loads, written)}
    assert len(found) == 3
    assert lines[1]["question_id"] not in found
    accepted = found.pop(lines[0]["question_id"])
    changed = [accepted[name] for name in ("question", "category", "start_s", "end_s", "event")]
    assert changed == [
        "How far does it travel?", "way", 0.0, 1.5, "It moves on a straight way."
    ]  # fmt: skip
    assert accepted["verified_by"] == ["ada"]
    assert [line["verified_by"] for line in found.values()] == [[], []]
