"""Questions about rendered scenes, by family, with exact answers.

Balanced: a model that sees neither frames nor profile scores at chance. Among the questions of one
wording every answer of a family occurs equally often, and numbers to choose from are the true
answers of the very questions that share them. Where the truth is a matter of degree, near ties are
left out.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np

from massannot.questions.answers import Kind
from massannot.questions.scene_story import Story
from massannot.questions.sight_questions import (
    COMES_FROM,
    SIDES,
    Draft,
    comes_from,
    is_shape,
    is_there,
    on_side,
)

RATIO = 1.25
"""Two lengths nearer than this are a tie."""
LEAST_M = 0.1
"""Less is no motion."""
BOUNCE_M = 0.03
"""A rise of so much is a bounce; below a tenth of it nothing is seen, and between nobody asks."""
N_NUMBERS = 4
"""To choose from."""


@dataclass(frozen=True, kw_only=True)
class SceneQuestion:
    """One question of one scene."""

    family: str
    seed: int
    view: int
    text: str
    entities: tuple[int, ...]
    value: str | float
    """The truth: one of the family's answers, or a number in its unit."""
    numbers: tuple[float, ...]
    """Numbers of the motion profile from which the answer follows; none: it does not follow."""
    options: tuple[str, ...] = ()
    answer: str = ""


@dataclass(frozen=True, kw_only=True)
class Family:
    """One kind of question. Its answers are fixed words, or numbers in a unit."""

    name: str
    kind: Kind
    ask: Callable[[Story], Iterator[Draft]]
    """Yield every question that the story allows."""
    answers: tuple[str, ...] = ()
    unit: str | None = None
    n_lines: int
    """Lines of the motion profile that the answer needs; 0: it does not follow from the profile."""


def ask_all(
    stories: Iterable[Story], *, names: Sequence[str] = (), seed: int = 0
) -> list[SceneQuestion]:
    """Balanced questions of the families of those names (none: of all), by family and scene."""
    stories = list(stories)
    chosen = [FAMILIES[name] for name in names] if names else list(FAMILIES.values())
    questions: list[SceneQuestion] = []
    for family in chosen:
        everything = [question for story in stories for question in _drafted(family, story)]
        chance = np.random.default_rng([seed, *family.name.encode()])
        questions += sorted(
            _balanced(family, everything, chance),
            key=lambda question: (question.seed, question.view),
        )
    return questions


def ask_of_answers(family: Family, story: Story) -> list[SceneQuestion]:
    """Every question that the story allows, not balanced, of a family whose answers are words."""
    return [_answered(family, question) for question in _drafted(family, story)]


def chance(family: Family, values: Sequence[str | float], *, tolerance: float = 0.25) -> float:
    """The score of the best constant answer."""
    if family.kind == "number":
        numbers = np.array(values, float)
        guesses = np.concatenate([numbers / (1 + tolerance), numbers / (1 - tolerance)])
        near = np.abs(guesses[:, None] - numbers) <= tolerance * numbers * (1 + 1e-9)
        return float(near.mean(axis=1).max())
    return 1 / (len(family.answers) or N_NUMBERS)


def _drafted(family: Family, story: Story) -> Iterator[SceneQuestion]:
    for text, entities, value, numbers in family.ask(story):
        yield SceneQuestion(
            family=family.name,
            seed=story.seed,
            view=story.view,
            text=text,
            entities=entities,
            value=value,
            numbers=numbers,
            options=tuple(map(story.the, entities)) if family.answers == _EITHER else (),
        )


def _balanced(
    family: Family, questions: list[SceneQuestion], chance: np.random.Generator
) -> list[SceneQuestion]:
    """Group by wording and options; keep as many of every answer as of the rarest in its group."""
    groups: dict[tuple[str, tuple[str, ...]], list[SceneQuestion]] = defaultdict(list)
    for i in chance.permutation(len(questions)):
        groups[questions[i].text, questions[i].options].append(questions[i])
    balanced: list[SceneQuestion] = []
    for read in sorted(groups):
        group = groups[read]
        if family.kind == "number":
            balanced += _even_numbers(group, family.unit)
        elif family.unit:
            balanced += _shared_numbers(group, family.unit, chance)
        else:
            balanced += _even_answers(group, family)
    return balanced


def _even_answers(group: list[SceneQuestion], family: Family) -> list[SceneQuestion]:
    by_answer = {a: [question for question in group if question.value == a] for a in family.answers}
    n = min(map(len, by_answer.values()))
    even = [question for some in by_answer.values() for question in some[:n]]
    return [_answered(family, question) for question in even]


def _answered(family: Family, question: SceneQuestion) -> SceneQuestion:
    """With its options and its answer, of a family whose answers are words."""
    if family.answers in (_YES_NO, _EITHER):
        return replace(question, answer=str(question.value))
    return _with_options(question, family.answers)


def _with_options(question: SceneQuestion, options: Sequence[str]) -> SceneQuestion:
    """`value` is one of the options."""
    letter = "ABCD"[options.index(str(question.value))]
    return replace(question, options=tuple(options), answer=letter)


def _even_numbers(group: list[SceneQuestion], unit: str | None) -> list[SceneQuestion]:
    """As many from each step of _STEP_RATIO, so that no one number is often nearly right."""
    steps: dict[int, list[SceneQuestion]] = defaultdict(list)
    for question in group:
        steps[math.floor(math.log(float(question.value)) / math.log(_STEP_RATIO))].append(question)
    common = sorted(steps, key=lambda step: -len(steps[step]))[:_STEPS]
    n = min(len(steps[step]) for step in common) if len(common) == _STEPS else 0
    even = [question for step in sorted(common) for question in steps[step][:n]]
    return [replace(question, answer=f"{question.value:.2f} {unit}") for question in even]


def _shared_numbers(
    group: list[SceneQuestion], unit: str, chance: np.random.Generator
) -> list[SceneQuestion]:
    """Sets of questions whose values differ clearly; each set's values are its options."""
    open_sets: list[list[SceneQuestion]] = []
    complete: list[SceneQuestion] = []
    for question in group:
        fits = (s for s in open_sets if all(_apart(question.value, o.value, unit) for o in s))
        home = next(fits, None)
        if home is None:
            open_sets.append([question])
            continue
        home.append(question)
        if len(home) == N_NUMBERS:
            open_sets.remove(home)
            written = [f"{o.value:.2f} {unit}" for o in home]
            options = [written[i] for i in chance.permutation(N_NUMBERS)]
            complete += [
                _with_options(replace(o, value=text), options)
                for o, text in zip(home, written, strict=True)
            ]
    return complete


def _apart(one: str | float, other: str | float, unit: str) -> bool:
    low, high = sorted((float(one), float(other)))
    return high - low >= _APART_S if unit == "s" else high >= _APART_RATIO * low


_APART_S = 0.25
_APART_RATIO = 1.5
_STEP_RATIO = 1.6
_STEPS = 4


def _which_way(story: Story) -> Iterator[Draft]:
    for segment in range(len(story.segments)):
        for entity in range(len(story.names)):
            x, y, z = story.displacement_m(entity, segment)
            across, along = sorted(map(abs, (x, z)))
            if along < max(LEAST_M, RATIO * max(across, abs(y))):
                continue
            if abs(x) > abs(z):
                way = "to the right" if x > 0 else "to the left"
            else:
                way = "away from the camera" if z > 0 else "towards the camera"
            text = f"In video segment {segment + 1}, which way does {story.the(entity)} move?"
            yield text, (entity,), way, story.motions(entity, segment)


def _how_far(story: Story) -> Iterator[Draft]:
    for entity in range(len(story.names)):
        far = round(story.distance_m(entity), 2)
        if far >= LEAST_M:
            text = f"How far from its first position is {story.the(entity)} at the end?"
            yield text, (entity,), far, story.motions(entity)


def _how_fast(story: Story) -> Iterator[Draft]:
    for entity in range(len(story.names)):
        fast = round(story.distance_m(entity) / float(story.t_s[-1] - story.t_s[0]), 2)
        if fast >= LEAST_M:
            text = f"How fast does {story.the(entity)} get from its first to its last position?"
            yield text, (entity,), fast, story.motions(entity)


def _faster(story: Story) -> Iterator[Draft]:
    for segment in range(len(story.segments)):
        far = [story.distance_m(entity, segment) for entity in (0, 1)]
        way = [story.way_m(entity, segment) for entity in (0, 1)]
        if max(far) >= max(LEAST_M, RATIO * min(far)) and _same_order(far, way):
            numbers = story.motions(0, segment) + story.motions(1, segment)
            text = f"In video segment {segment + 1}, which is faster?"
            yield text, (0, 1), _letter(far[0] > far[1]), numbers


def _when_faster(story: Story) -> Iterator[Draft]:
    for entity in range(len(story.names)):
        far = [story.distance_m(entity, segment) for segment in (0, 1)]
        way = [story.way_m(entity, segment) for segment in (0, 1)]
        if max(far) >= max(LEAST_M, RATIO * min(far)) and _same_order(far, way):
            text = f"In which video segment is {story.the(entity)} faster?"
            value = f"video segment {1 + far.index(max(far))}"
            yield text, (entity,), value, story.motions(entity)


def _nearer(story: Story) -> Iterator[Draft]:
    for one, other in permutations(range(len(story.names)), 2):
        gap = np.linalg.norm(
            story.centres_m[[0, -1], one] - story.centres_m[[0, -1], other], axis=1
        )
        if gap.max() >= RATIO * gap.min():
            text = f"Is {story.the(one)} nearer to {story.the(other)} at the end than at the start?"
            ends = story.centres_m[[0, 0, -1, -1], [one, other, one, other]]
            yield text, (one, other), _yes(gap[1] < gap[0]), tuple(ends.ravel().tolist())


def _in_front(story: Story) -> Iterator[Draft]:
    z = story.centres_m[-1, :2, 2]
    away = np.linalg.norm(story.centres_m[-1, :2], axis=1)
    if z.max() >= RATIO * z.min() and _same_order(z.tolist(), away.tolist()):
        text = "At the end, which is nearer to the camera?"
        yield text, (0, 1), _letter(z[0] < z[1]), tuple(z.tolist())


def _right_of(story: Story) -> Iterator[Draft]:
    x = story.centres_m[-1, :2, 0]
    in_picture = x / story.centres_m[-1, :2, 2]
    if abs(x[0] - x[1]) >= LEAST_M and _same_order(x.tolist(), in_picture.tolist()):
        text = "At the end, which is farther to the right?"
        yield text, (0, 1), _letter(x[0] > x[1]), tuple(x.tolist())


def _hits(story: Story) -> Iterator[Draft]:
    for one, other in permutations(range(len(story.names)), 2):
        met = any(
            contact.kind == "body" and {contact.first, contact.second} == {one, other}
            for contact in story.contacts
        )
        yield f"Does {story.the(one)} hit {story.the(other)}?", (one, other), _yes(met), ()


def _bounces(story: Story) -> Iterator[Draft]:
    for entity in range(len(story.names)):
        again, rise = len(story.floor_contacts_s(entity)) > 1, story.rise_m(entity)
        if rise >= BOUNCE_M if again else rise < BOUNCE_M / 10:
            yield f"Does {story.the(entity)} bounce off the floor?", (entity,), _yes(again), ()


def _when_it_lands(story: Story) -> Iterator[Draft]:
    for entity in range(len(story.names)):
        times = story.floor_contacts_s(entity)
        if times:
            text = f"When does {story.the(entity)} first hit the floor?"
            yield text, (entity,), round(times[0], 2), ()


def _same_order(one: list[float], other: list[float]) -> bool:
    """Whether two readings of a question agree about which is greater."""
    return (one[0] > one[1]) == (other[0] > other[1])


def _letter(first: bool) -> str:
    return "A" if first else "B"


def _yes(true: bool) -> str:
    return "yes" if true else "no"


_WAYS = ("to the left", "to the right", "towards the camera", "away from the camera")
_YES_NO = ("yes", "no")
_EITHER = ("A", "B")
"""Of the two entities, in the order of the profile."""
_SEGMENTS = ("video segment 1", "video segment 2")
FAMILIES = {
    family.name: family
    for family in (
        Family(name="which_way", kind="multiple_choice", ask=_which_way, answers=_WAYS, n_lines=1),
        Family(name="how_far", kind="multiple_choice", ask=_how_far, unit="m", n_lines=2),
        Family(name="how_fast", kind="number", ask=_how_fast, unit="m/s", n_lines=2),
        Family(name="faster", kind="multiple_choice", ask=_faster, answers=_EITHER, n_lines=2),
        Family(
            name="when_faster",
            kind="multiple_choice",
            ask=_when_faster,
            answers=_SEGMENTS,
            n_lines=2,
        ),
        Family(name="nearer", kind="yes_no", ask=_nearer, answers=_YES_NO, n_lines=4),
        Family(name="in_front", kind="multiple_choice", ask=_in_front, answers=_EITHER, n_lines=2),
        Family(name="right_of", kind="multiple_choice", ask=_right_of, answers=_EITHER, n_lines=2),
        Family(name="hits", kind="yes_no", ask=_hits, answers=_YES_NO, n_lines=0),
        Family(name="bounces", kind="yes_no", ask=_bounces, answers=_YES_NO, n_lines=0),
        Family(
            name="when_it_lands", kind="multiple_choice", ask=_when_it_lands, unit="s", n_lines=0
        ),
        Family(name="colour", kind="yes_no", ask=is_there, answers=_YES_NO, n_lines=0),
        Family(name="shape", kind="yes_no", ask=is_shape, answers=_YES_NO, n_lines=0),
        Family(name="side", kind="multiple_choice", ask=on_side, answers=SIDES, n_lines=0),
        Family(name="order", kind="multiple_choice", ask=comes_from, answers=COMES_FROM, n_lines=0),
    )
}
