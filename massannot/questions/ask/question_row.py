"""The row of `questions` that a candidate becomes: words, options, answer, and what is shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from massannot.questions.ask.family import BOX_COLOURS, SeenThing, Sight
from massannot.questions.ask.paraphrases import paraphrase
from massannot.questions.ask.questions_of_clip import Candidate, plain_value
from massannot.questions.ask.run_program import Value
from massannot.questions.shown_video import boxes_shown

Row = dict[str, Any]
SIDES = ("x0", "y0", "x1", "y1")


def question_row(
    candidate: Candidate,
    value: Value,
    sight: Sight,
    *,
    question_id: str,
    twin: str | None,
    chance: np.random.Generator,
) -> tuple[list[str] | None, Row] | None:
    """Choices as JSON and the row of `questions`, without evidence. `twin`: mirrored, reversed or
    paraphrased. None: the value is none of the choices, or nobody has other words."""
    family, proposal = candidate.family, candidate.proposal
    names = _names(candidate, sight)
    text: str | None = proposal.text
    if twin == "paraphrased":  # nobody's own words are changed
        text = None if family.name.startswith("written_") else paraphrase(proposal.text)
    if text is None:
        return None
    text = text.format(*names)
    is_choice = family.kind == "multiple_choice" or bool(candidate.options)
    options: list[str] | None = None
    choices: list[str] | None = None
    if is_choice:
        values = list(candidate.options or proposal.choices or family.choices)
        if value not in values:
            return None
        if (set(values) & set(family.say) and len(values) > 2) or proposal.choices:
            values = [values[i] for i in chance.permutation(len(values))]
        options = [_option(candidate, each, sight, names) for each in values]
        choices = [json.dumps(plain_value(each)) for each in values]
    start_s, end_s = sight.t_s[0], sight.t_s[-1]
    if proposal.until_frame is not None:
        shown = sight.t_s[: proposal.until_frame + 1]
        start_s, end_s = shown[0], shown[-1]
        if twin == "reversed":
            start_s, end_s = turned_s(sight) - end_s, turned_s(sight) - start_s
    return choices, {
        "question_id": question_id,
        "uri": sight.clip["uri"],
        "clip_id": candidate.clip_id,
        "clip_ids": [candidate.clip_id],
        "start_s": start_s,
        "end_s": end_s,
        "question": text[0].upper() + text[1:],
        "answer": answer_text(value, kind=family.kind, unit=family.unit, choices=choices),
        "category": family.category,
        "entities": [thing.phrase for thing in sight.things if thing.entity in proposal.things],
        "split": None,
        "problem_type": "multiple_choice" if is_choice else family.kind,
        "options": options,
        "unit": None if is_choice or family.kind not in ("number", "interval") else family.unit,
        "tolerance_abs": None if is_choice else family.tolerance_abs,
        "tolerance": 0.0 if family.tolerance_abs is not None and not is_choice else None,
        "further": _further(candidate, sight, twin),
    }


def answer_text(value: Value, *, kind: str, unit: str | None, choices: Sequence[str] | None) -> str:
    """As a question's `answer`: a letter, a number with its unit, an hour, yes or no."""
    if choices:
        return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[list(choices).index(json.dumps(plain_value(value)))]
    if kind == "number":
        return f"{value:.2f} {unit}" if unit else str(value)
    if kind == "clock":
        return f"{value} o'clock"
    if kind == "interval":
        assert isinstance(value, tuple)
        return f"{value[0]:.2f} - {value[1]:.2f} s"
    return str(value)


def shown_evidence(
    evidence: Sequence[Row], candidate: Candidate, sight: Sight, twin: str | None
) -> Row:
    """Times and boxes of the evidence that is in the picture, as it is shown: of three moments."""
    moments = moments_of(candidate, sight, twin)
    boxes = boxes_shown(
        [
            [sight.t_s[row["frame"]], *(float(row[side]) for side in SIDES)]
            for row in sorted(evidence, key=lambda row: row.get("frame") or 0)
            if row["table"] == "masks" and row.get("x0") is not None and row["frame"] in moments
        ],
        twin,
        width=sight.clip["source_width"],
        turned_s=turned_s(sight),
    )
    return {
        "evidence_times_s": sorted({box[0] for box in boxes}) or None,
        "evidence_boxes": [x for box in boxes for x in box] or None,
    }


def moments_of(candidate: Candidate, sight: Sight, twin: str | None) -> set[int]:
    """First, middle and last frame of what is shown, by their numbers in the clip."""
    until = candidate.proposal.until_frame
    last = sight.last if until is None else until
    first = sight.last - last if twin == "reversed" else 0
    return {first, first + last // 2, first + last}


def turned_s(sight: Sight) -> float:
    """Sum of a frame's time and when it is shown, played backwards."""
    return sight.t_s[0] + sight.t_s[-1]


def _option(candidate: Candidate, value: Value, sight: Sight, names: Sequence[str]) -> str:
    family, proposal = candidate.family, candidate.proposal
    if candidate.options:
        return answer_text(value, kind=family.kind, unit=family.unit, choices=None)
    if proposal.choices:
        (thing,) = (each for each in sight.things if each.entity == value)
        return _name(thing, sight, proposal.things)
    return family.say.get(value, str(value)).format(*names)


def _names(candidate: Candidate, sight: Sight) -> list[str]:
    things = {thing.entity: thing for thing in sight.things}
    order = candidate.proposal.things
    return [_name(things[thing], sight, order) for thing in order]


def _name(thing: SeenThing, sight: Sight, order: tuple[int, ...]) -> str:
    if sight.boxes:
        return f"the thing in the {BOX_COLOURS[order.index(thing.entity)]} box"
    words = thing.phrase.strip()
    for article in ("a ", "an ", "the "):
        words = words[len(article) :] if words.casefold().startswith(article) else words
    return f"the {words}"


def _further(candidate: Candidate, sight: Sight, twin: str | None) -> str:
    """See shown_video for what is done to the video."""
    proposal = candidate.proposal
    more: Row = {
        "family": candidate.family.name,
        "video_id": candidate.video_id,
        "things": list(proposal.things),
    }
    if twin in ("mirrored", "reversed"):
        more["video_is"] = twin
    if twin == "reversed":
        more["turned_s"] = turned_s(sight)
    until_s = None
    if proposal.until_frame is not None:
        more["shown_until_s"] = until_s = sight.t_s[proposal.until_frame]
    if sight.boxes:
        width = sight.clip["source_width"]
        more["boxes"] = {
            colour: [
                [round(float(x), 4) for x in box]
                for box in boxes_shown(
                    sight.boxes_of(thing), twin, width=width, turned_s=turned_s(sight)
                )
                if until_s is None or box[0] <= until_s + 1e-6
            ]
            for colour, thing in zip(BOX_COLOURS, proposal.things, strict=False)
        }
    return json.dumps(more)
