"""Questions become spans and phrases, and find their clips again, in one manifest or several."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from massannot.clip import Clip, Phrase
from massannot.dataset.reading import Dataset, open_dataset
from massannot.engine.tally import RunSummary
from massannot.errors import UsageError
from massannot.inputs.question import Problem, Question
from massannot.inputs.span import Span
from massannot.jobs.plan import videos_of
from massannot.models.text_prompts import UNKNOWN, prompts_of
from massannot.plan.folder import read_shards, write_once
from massannot.plan.join_questions import QuestionCounts, planned_videos
from massannot.plan.planned_videos import Shard
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.stages._stage import Stage
from massannot.tables import _consistency as consistency
from tests.faults import tiny_run
from tests.faults.tiny_run import Tiny, sharded, write_videos

PROMPT = Phrase("net")
FIRST = Question("q1", "a.mp4", question="Does the ball pass the hoop?", entities=("A Ball",))
NAMED = replace(FIRST, entities=("hoop", "dog", "A Ball"), entity_spans=(23, 27, None, None, 9, 13))
SECOND = Question("q2", "a.mp4", question="Is the ball red?", caption="a hoop and a cat")
LATER = Question("q3", "a.mp4", start_s=1.0, end_s=2.0, question="Where is the dog?")
BAD = Question("q0", "a.mp4", problem=Problem("bad_question", "it is null"))


def test_a_clip_is_asked_for_the_union_of_its_questions_in_the_order_of_origins() -> None:
    (video,) = planned_videos([], [SECOND, LATER, FIRST], prompts=[PROMPT])
    assert video.spans == (
        Span(
            phrases=(
                Phrase("A Ball", "entities", "q1"),
                PROMPT,
                Phrase("hoop", "caption", "q2", 2, 6),
                Phrase("cat", "caption", "q2", 13, 16),
                Phrase("A Ball", "question", "q1", 9, 13),
                Phrase("hoop", "question", "q1", 23, 27),
                Phrase("A Ball", "question", "q2", 7, 11),
            ),
            questions=(FIRST, SECOND),
        ),
        Span(1.0, 2.0, (PROMPT, Phrase("dog", "question", "q3", 13, 16)), questions=(LATER,)),
    )


def test_what_only_a_text_names_is_looked_for_where_the_detector_knows_it() -> None:
    (video,) = planned_videos(
        [], [SECOND, FIRST], prompts=[PROMPT], knows=lambda text: text not in ("hoop", "ball")
    )
    assert video.spans[0].phrases == (
        Phrase("A Ball", "entities", "q1"),
        PROMPT,
        Phrase("cat", "caption", "q2", 13, 16),
    )


def test_a_stretch_is_that_of_named_videos_and_rows_keep_their_own() -> None:
    first, second = planned_videos(
        ["a.mp4", "b.mp4"], [LATER], prompts=[PROMPT], stretch=(0.5, 3.0)
    )
    assert [(span.start_s, span.end_s) for span in first.spans] == [(0.5, 3.0), (1.0, 2.0)]
    assert second.spans == (Span(0.5, 3.0, (PROMPT,)),)


def test_an_entity_keeps_its_place_in_the_question_where_its_row_says_one() -> None:
    (video,) = planned_videos([], [NAMED], prompts=[])
    assert video.spans[0].phrases[:3] == (
        Phrase("hoop", "entities", "q1", 23, 27),
        Phrase("dog", "entities", "q1"),
        Phrase("A Ball", "entities", "q1", 9, 13),
    )


def test_a_question_with_a_problem_rides_along_and_asks_for_nothing() -> None:
    (video,) = planned_videos([], [BAD, LATER], prompts=[])
    (span,) = video.spans
    assert span.questions == (LATER, BAD)
    assert [phrase.question_id for phrase in span.phrases] == ["q3"]


def test_an_id_is_the_spans_where_the_row_asks_nothing() -> None:
    captioned = Question("c1", "a.mp4", source_id="c1", caption="a cat")
    asking = Question("q1", "b.mp4", source_id="q1", question="Where is the cat?")
    videos = planned_videos([], [captioned, asking], prompts=[])
    assert [video.spans[0].source_id for video in videos] == ["c1", None]


def test_a_video_named_outright_and_in_a_manifest_is_one_video(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "a.mp4")
    linked = Question("q1", str(tmp_path / "link.mp4"), question="Where is the dog?")
    (video,) = planned_videos([str(tmp_path / "a.mp4")], [linked], prompts=[PROMPT])
    assert video.uri == str(tmp_path / "a.mp4")
    assert [question.uri for question in video.spans[0].questions] == [video.uri]


def test_a_plan_keeps_its_questions(tmp_path: Path) -> None:
    shards = sharded(planned_videos(["b.mp4"], [FIRST, BAD, LATER], prompts=[PROMPT]), 1)
    write_once(tmp_path / "plan", shards)
    assert tuple(read_shards(tmp_path / "plan")) == shards


def shards_for(manifest: Path, *phrases: str) -> tuple[Shard, ...]:
    """What the manifest asks for, with the phrases asked everywhere, a few videos a shard."""
    return sharded(list(videos_of(run_spec([str(manifest)], phrases))), 3)


@dataclass(frozen=True)
class ReadPrompts(Stage):
    """Reads the clip's phrases as a detector of ASCII words and at most 16 tokens does."""

    reads: ClassVar[tuple[str, ...]] = ("clips",)
    writes: ClassVar[tuple[str, ...]] = ()

    def process(self, clip: Clip) -> Clip:
        prompts_of([phrase.text for phrase in clip.phrases], _tokens, limit=16)
        return clip


def _tokens(text: str) -> list[int]:
    return [2000 + len(word) if word.isascii() else UNKNOWN for word in text.split()]


def test_a_phrase_that_the_detector_lacks_words_for_fails_its_clip_by_name(tmp_path: Path) -> None:
    films = write_videos(tmp_path, 4)
    entities = [["red square"], ["ボール"], ["very " * 20 + "long square"], ["square", "ball"]]
    rows = [{"video": film, "entities": named} for film, named in zip(films, entities, strict=True)]
    (tmp_path / "m.json").write_text(json.dumps(rows))
    shards = shards_for(tmp_path / "m.json")
    build = Tiny(more=(ReadPrompts(),))
    tiny_run.run(shards, build, out=tmp_path / "out", workers=0)
    dataset = open_dataset(tmp_path / "out")
    assert {Path(uri).stem for uri in dataset.table("clips")["uri"].to_pylist()} == {"v000", "v003"}
    failures = dataset.table("failures").to_pylist()
    assert {(Path(row["uri"]).stem, row["class"]) for row in failures} == {
        ("v001", "bad_phrase"),
        ("v002", "bad_phrase"),
    }
    assert any("'ボール'" in row["message"] for row in failures)
    assert any("22 tokens, expected at most 13" in row["message"] for row in failures)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunSummary, Dataset]:
    """Two films of one second, cut every half, with good questions and bad ones."""
    folder = tmp_path_factory.mktemp("asked")
    write_videos(folder / "videos", 2)
    rows = [
        {"video": "videos/v000.mp4", "id": "whole", "question": "Where is the square?"},
        {"video": "videos/v000.mp4", "id": "half", "start_s": 0.5, "end_s": 1, "question": "Why?"},
        {"video": "videos/v001.mp4", "id": "late", "start_s": 5, "end_s": 6, "question": "When?"},
        {"video": "videos/v001.mp4", "id": "null", "answer": "42"},
        {"video": "videos/gone.mp4", "id": "gone", "question": "Who?"},
        {"id": "nowhere", "question": "Where?"},
        {"video": "videos/v001.mp4", "id": "half", "question": "Another?"},
    ]
    (folder / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    shards = shards_for(folder / "m.jsonl", "square")
    summary = tiny_run.run(shards, Tiny(), out=folder / "out", workers=0)
    return summary, open_dataset(folder / "out")


def test_every_question_knows_its_clips(asked: tuple[RunSummary, Dataset]) -> None:
    dataset = asked[1]
    clips = {
        c["clip_id"]: (Path(c["uri"]).stem, c["t0_s"]) for c in dataset.table("clips").to_pylist()
    }
    questions = dataset.table("questions").to_pylist()
    found = {q["question_id"]: [clips[c] for c in q["clip_ids"] or []] for q in questions}
    assert len(questions) == 7
    assert {key: value for key, value in found.items() if not key.startswith("half (")} == {
        "whole": [("v000", 0.0), ("v000", 0.5)],
        "half": [("v000", 0.5)],  # its span is the second cut of `whole`: one clip for both
        "late": [],
        "null": [],
        "gone": [],
        "nowhere": [],
    }
    for q in questions:
        assert q["clip_id"] == (q["clip_ids"] or [None])[0]


def test_what_could_not_be_asked_or_read_is_a_failure_with_a_name(
    asked: tuple[RunSummary, Dataset],
) -> None:
    summary, dataset = asked
    bad = {"bad_question": 1, "duplicate_id": 1, "no_video": 1}
    assert summary.questions == QuestionCounts(asked=7, answered=2, bad=bad)
    failures = dataset.table("failures").to_pylist()
    found = {(Path(row["uri"]).name, row["stage"].split(" (")[0], row["class"]) for row in failures}
    assert found == {
        ("v001.mp4", "read", "span_outside_video"),
        ("v001.mp4", "question null", "bad_question"),
        ("v001.mp4", "question half", "duplicate_id"),
        ("gone.mp4", "read", "not_found"),
        ("m.jsonl, row 6: no video", "read", "not_found"),
        ("m.jsonl, row 6: no video", "question nowhere", "no_video"),
    }
    settled = summary.done + summary.failed + summary.quarantined + summary.remaining
    assert summary.planned == settled


def test_bad_text_and_impossible_names_cost_their_rows_and_the_rest_is_annotated(
    tmp_path: Path,
) -> None:
    """One row of a million with half an emoji, or bytes of another encoding, or NUL in a name."""
    (film,) = write_videos(tmp_path, 1)
    half = "half \ud83d"
    rows = [
        {"video": film, "id": "good", "question": "Where is the square?"},
        {"video": film, "id": "text", "question": half},
        {"video": film, "id": "further", "question": "Why?", "made by": half},
        {"video": f"{half}.mp4", "id": "name", "question": "Where?"},
        {"video": "nu\0l.mp4", "id": "nul", "question": "Where?"},
        {"video": "x" * 300 + ".mp4", "id": "long", "question": "Where?"},
        {"video": "https://films.example/a.mp4", "id": "web", "question": "Where?"},
    ]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "l.txt").write_bytes(b"caf\xe9.mp4\n" + film.encode())
    sources = [str(tmp_path / "m.jsonl"), f"@{tmp_path}/l.txt"]
    shards = sharded(list(videos_of(run_spec(sources, [PROMPT.text]))), 3)
    tiny_run.run(shards, Tiny(), out=tmp_path / "out", workers=0)
    dataset = open_dataset(tmp_path / "out")
    failures = dataset.table("failures").to_pylist()
    found = {(row["stage"], row["class"]) for row in failures if row["stage"] != "read"}
    assert found == {
        ("question text", "not_unicode"),
        ("question further", "not_unicode"),
        ("question name", "impossible_name"),
        ("question nul", "impossible_name"),
        ("question web", "impossible_name"),
        ("question long", "impossible_name"),
        ("question @l.txt, entry 1", "impossible_name"),
    }
    assert {row["class"] for row in failures if row["stage"] == "read"} == {"not_found"}
    answered = {q["question_id"]: q["clip_id"] for q in dataset.table("questions").to_pylist()}
    assert {name for name, clip_id in answered.items() if clip_id} == {"good"}
    assert len(answered) == 8


def test_the_dataset_is_sound(asked: tuple[RunSummary, Dataset]) -> None:
    for shard in asked[1].shards:
        consistency.check(asked[1].shard(shard))


def test_spans_that_hold_the_same_frames_are_one_clip_asked_for_the_union(tmp_path: Path) -> None:
    """Whichever span a question names: the whole video, 0 to its end, or a cut of it."""
    (film,) = write_videos(tmp_path, 1)
    spans = ({}, {"start_s": 0, "end_s": 0.5}, {"start_s": 0.0}, {"start_s": -0.0, "end_s": 0.5})
    texts = ("A square", "the red square", "a Square", "a net")
    rows = [
        {"video": film, "id": f"q{n}", "question": f"Where is {text}?", **span}
        for n, (span, text) in enumerate(zip(spans, texts, strict=True))
    ]
    asked = {"apart": rows, "whole": [{"video": film} | _but_span(row) for row in rows]}
    phrases = {}
    for name, manifest in asked.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(manifest))
        shards = shards_for(tmp_path / f"{name}.json", PROMPT.text)
        done = tiny_run.run(shards, Tiny(), out=tmp_path / name, workers=0)
        assert (done.done, done.failed) == (2, 0)
        clips = open_dataset(tmp_path / name).clips()
        first = next(clip for clip in clips if clip.row["t0_s"] == 0)
        phrases[name] = first.phrases
    assert phrases["apart"] == phrases["whole"]


def _but_span(row: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in row.items() if name not in ("start_s", "end_s")}


def test_a_noun_of_a_question_that_the_profile_does_not_know_costs_no_clip(tmp_path: Path) -> None:
    (film,) = write_videos(tmp_path / "films", 1)
    row = {"video": str(film), "question": "How many hippos?"}
    said: list[str] = []

    def planned(**more: Any) -> list[str]:
        path = tmp_path / "m.jsonl"
        path.write_text(json.dumps(row | more))
        spec = run_spec([str(path)], flags=ModelFlags(profile="embedded"))
        (video,) = videos_of(spec, say=said.append)
        return [phrase.text for span in video.spans for phrase in span.phrases]

    assert planned(entities=["a red ball"]) == ["a red ball"]
    assert said == [
        (
            "warning: 1 phrase of questions and captions not looked for, such as 'hippos': profile "
            "embedded does not know the words"
        )
    ]
    with pytest.raises(UsageError, match="'hippos': profile embedded does not know 'hippos'"):
        planned()


def test_a_manifest_of_bad_rows_alone_says_why(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text('{"video": "https://films.example/a.mp4", "entities": "a"}')
    with pytest.raises(UsageError, match=r"1 row cannot be asked, the first: .*address of https"):
        videos_of(run_spec([str(tmp_path / "m.jsonl")]))
