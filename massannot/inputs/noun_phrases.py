"""Noun phrases of an English sentence, by word lists and neighbourhood alone: no model, no network.

A phrase is a run of words between words that are never part of a name for a thing: articles,
prepositions, pronouns, question words, auxiliaries, and verbs after a noun. `text[start:end]` is
the phrase.

Limits, on purpose: English only, and Latin letters only (other words end a phrase); a verb outside
the lists is taken for a noun ("the ball zigzags" gives "ball zigzags"), and a noun that
is also a listed verb is lost after another noun ("car crash" gives "car"); "the man with a hat"
gives "man" and "hat", never the whole; pronouns are not resolved; names for parts, places and
measures ("bottom", "direction", "video", "perspective", "5s") and the words of a task ("estimate",
"bounding box") are not things to look for; at most five words a phrase, the last ones. Where this
matters, name the things yourself: `entities` or -p.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST_WORDS = 5
LONGEST_WORD = 40
"""Longer ones are addresses or noise, and no detector's vocabulary has them."""


@dataclass(frozen=True)
class NounPhrase:
    """The letters of a sentence from `start` to `end`, exclusive."""

    text: str
    start: int
    end: int


def noun_phrases(text: str) -> tuple[NounPhrase, ...]:
    """The phrases of a text in their order, each once."""
    phrases: dict[str, NounPhrase] = {}
    run: list[re.Match[str]] = []
    determined = False  # an article stands before the run, so its first word is no verb
    end = 0
    for word in _WORD.finditer(text):
        if _BORDER.search(text, end, word.start()):
            _add(phrases, text, run)
            run, determined = [], False
        end = word.end()
        plain = word.group().lower().replace("’", "'")
        if _ends_a_phrase(plain, run, determined):
            _add(phrases, text, run)
            run, determined = [], plain in _DETERMINERS
        else:
            run.append(word)
    _add(phrases, text, run)
    return tuple(phrases.values())


def _ends_a_phrase(word: str, run: list[re.Match[str]], determined: bool) -> bool:
    if word == "can" and run and run[-1].group().lower() in _CANS:
        return False
    if re.match(r"\d+[a-z]{1,2}$", word) or len(word) == 1:  # "5s", "3d", the "s" of "chair(s)"
        return True
    if word in _CLOSED or len(word) > LONGEST_WORD or not _LATIN.fullmatch(word):
        return True
    if run and not _describes(run[-1].group().lower()):  # after a noun
        return word in _VERBS or (word.endswith(("ing", "ed")) and word not in _NOUNS_LIKE_VERBS)
    if not run and not determined:  # "pass the ball", "moving left"
        return word in _VERBS
    return False


def _add(phrases: dict[str, NounPhrase], text: str, run: list[re.Match[str]]) -> None:
    """Add the phrase in a run of words, unless it names no thing or is known."""
    words = list(run)
    if "bounding" in (word.group().lower() for word in words):  # a mark on the picture
        return
    while words and _is_no_thing(words[-1].group().lower()):
        words.pop()
    words = words[-MOST_WORDS:]
    while words and (words[0].group().isdigit() or words[0].group().lower() in _NO_THINGS):
        words = words[1:]
    if not words:
        return
    start, end = words[0].start(), words[-1].end()
    phrase = NounPhrase(text[start:end], start, end)
    phrases.setdefault(" ".join(phrase.text.lower().split()), phrase)


def _describes(word: str) -> bool:
    return word in _ADJECTIVES or word.endswith(("ing", "ed")) or word[0].isdigit()


def _is_no_thing(word: str) -> bool:
    return word in _NO_THINGS or word in _ADJECTIVES or word in _VERBS or word.isdigit()


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _inflected(text: str) -> frozenset[str]:
    """Verbs with their regular forms; irregular ones stand in the list themselves."""
    forms = set()
    for verb in text.split():
        stem = verb[:-1] if verb.endswith("e") else verb
        forms |= {verb, f"{verb}s", f"{verb}es", f"{stem}ed", f"{stem}ing"}
        forms |= {f"{verb}{verb[-1]}{ending}" for ending in ("ed", "ing")}
        if verb.endswith("y"):
            forms |= {f"{verb[:-1]}ies", f"{verb[:-1]}ied"}
    return frozenset(forms)


_WORD = re.compile(r"[^\W_]+(?:[-'’][^\W_]+)*")
_BORDER = re.compile(r"[^\s]")
"""Anything but blanks between two words: no phrase goes on behind it."""
_LATIN = re.compile(r"[a-z0-9\u00df-\u024f'-]+")

_DETERMINERS = _words(
    "a an the this that these those his her its their my your our each every any some no another"
    " which what whose one two three four five six seven eight nine ten both all several many"
)
_CLOSED = _DETERMINERS | _words(
    "of in on at by for with without from to into onto out off over under above below behind"
    " beneath beside besides between among through across along around about against near toward"
    " towards up down upward upwards downward downwards forward forwards backward backwards away"
    " back left-to-right inside outside within upon via per than as like during before after until"
    " throughout till since while when where why how who whom whether if because although though"
    " unless so"
    " and or but nor yet not never i you he she it we they me him us them itself himself herself"
    " themselves something anything nothing someone anyone everything there here then now again"
    " ever also too very more most less least much quite rather just only still already once twice"
    " always often sometimes together apart first finally next later instead actually really"
    " is are was were be been being am do does did done doing have has had having can could will"
    " would shall should may might must isn't aren't wasn't weren't doesn't don't didn't can't"
    " cannot won't yes please"
    " quickly slowly suddenly smoothly gradually directly completely fully partially continuously"
    " immediately vertically horizontally clockwise counterclockwise counter-clockwise"
    " anticlockwise anti-clockwise naturally relative respectively facing towards"
    " correctly exactly approximately nearly almost"
)
_VERBS = _words(
    "goes went gone comes came come makes made takes took taken gives gave given gets got gotten"
    " sees saw seen shown says said keeps kept holds held stands stood sits sat lies lay lain runs"
    " ran falls fell fallen flies flew flown rises rose risen throws threw thrown catches caught"
    " breaks broke broken hits hit begins began begun becomes became leaves left loses lost meets"
    " met sinks sank sunk swings swung spins spun slides slid shoots shot strikes struck drives"
    " drove driven swims swam rides rode ridden bends bent sticks stuck puts put sets set lets let"
    " feels felt finds found remains"
) | _inflected(
    "move pass go come fall drop roll bounce slide spin rotate swing fly float sink rise jump hit"
    " strike collide touch reach enter exit leave cross follow push pull throw catch kick hold keep"
    " stay remain stop start begin continue change turn tip topple slip accelerate decelerate slow"
    " speed shoot appear disappear vanish seem look show happen occur exhibit describe explain"
    " obey violate defy descend ascend travel approach land rest stand sit lie run walk climb"
    " carry lift lower raise pour spill splash break shatter crack bend stretch compress deform"
    " melt freeze burn explode penetrate intersect overlap contact interact react make take get"
    " give let put see use cause become remain count compare contain cover face open close rebound"
    " ricochet merge split separate attach detach grow shrink expand swim ride drive"
    " calculate estimate measure determine identify predict compute assume suppose consider base"
    " annotate highlight mark cover choose select tell watch provide answer state infer judge"
    " observe play perform eat drink wear talk dance wave point face swing wait try help end"
)
_NOUNS_LIKE_VERBS = _words(
    "ring string spring wing king thing swing ceiling building railing painting bed seed weed shed"
    " sled reed steed feed"
)
_ADJECTIVES = _words(
    "red green blue yellow orange purple pink brown black white gray grey golden silver dark light"
    " bright big small large little tiny huge tall short long wide narrow thick thin heavy round"
    " square flat same other different new old young left right upper lower leftmost rightmost"
    " longest shortest tallest widest largest smallest biggest fastest slowest highest lowest"
    " front rear top bottom middle nearest closest farthest moving real physical possible visible"
    " wooden plastic soft hard empty full open closed second third last entire whole own such"
    " far fast quick slow"
    " faster slower higher lower larger smaller longer shorter heavier lighter true false able"
    " average total maximum minimum consistent realistic plausible impossible unrealistic upside"
)
_NO_THINGS = _words(
    "video clip frame frames scene image picture camera view screen moment time times second"
    " seconds minute minutes beginning start end middle center centre top bottom side sides edge"
    " front rear left right direction directions way path trajectory speed velocity acceleration"
    " motion movement distance position location place point height width length size shape color"
    " colour number amount kind type sort part parts example case reason result effect event"
    " action behavior behaviour abnormality anomaly violation physics law laws gravity inertia"
    " momentum energy force answer question statement object objects thing things entity entities"
    " degrees meters metres meter metre m cm mm km feet foot order difference contact collision"
    " mass weight volume area angle counterfactual physics-violating following"
    " addition fact state phenomenon ends perspective viewpoint viewer viewer's observer dimension"
    " dimensions appearance category categories displacement distances speeds velocities durations"
    " duration trajectories paths moments timestamp timestamps interval period span"
    " value values total average o'clock pixel pixels"
    " centimeters centimetres centimeter centimetre inches kilometers kilometres"
    " coordinates bounding orientation first-time meantime comparison"
)
_CANS = _words("trash garbage tin soda beer paint watering spray recycling")
"""Before "can", the thing."""
