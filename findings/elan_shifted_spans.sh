#!/usr/bin/env bash
# pympi-ling 1.71, spans in a tier of ELAN (EAF) that are moved and taken away
#
# Expected: shift_annotations(-300) moves each span 300 ms to the left and cuts what would begin before
#           0; remove_annotation(tier, 250) takes the span away that holds 250.
# Seen:     a span that must be cut keeps its end, so that it grows over its neighbour; two spans that
#           share a time slot, as EAF allows, move it twice; and at a border two spans are taken away:
#
#             spans                            done           left
#             0-500, 500-1000, 1200-1500       shift -300     0-500, 200-700, 900-1200
#             100-500, 500-900 (shared slot)   shift +300     400-1100, 1100-1200
#             0-500, 500-1000, 1200-1500       remove 500     1200-1500
#
# After trimming a film its spans lie elsewhere than what they name. Build new spans from
# get_annotation_data_for_tier() with times of your own; take away by a time inside a span.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check pympi-ling==1.71
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
from importlib.metadata import version

import pympi

SPANS = ((0, 500), (500, 1000), (1200, 1500))


def tier(spans):
    film = pympi.Elan.Eaf(author="nobody")
    film.add_tier("walk")
    for start, end in spans:
        film.add_annotation("walk", start, end, f"{start}-{end}")
    return film


def shared_slot(path):
    film = tier(((100, 500), (500, 900)))
    film.to_file(path)
    text = open(path).read()
    slots = [name for name, time in film.timeslots.items() if time == 500]
    slots.sort(key=lambda name: int(name[2:]))
    unused = f'<TIME_SLOT TIME_SLOT_ID="{slots[1]}" TIME_VALUE="500" />'
    assert unused in text
    text = text.replace(unused, "").replace(f'"{slots[1]}"', f'"{slots[0]}"')
    open(path, "w").write(text)
    return pympi.Elan.Eaf(path)


def left(film):
    return sorted(span[:2] for span in film.get_annotation_data_for_tier("walk"))


print("pympi-ling", version("pympi-ling"))

film = tier(SPANS)
film.shift_annotations(-300)
print("shift -300 ", *SPANS, "->", *left(film))
assert left(film) == [(0, 500), (200, 700), (900, 1200)], "the shift to the left changed"

film = shared_slot("shared.eaf")
assert left(film) == [(100, 500), (500, 900)]
film.shift_annotations(300)
print("shared slot, +300  (100, 500) (500, 900) ->", *left(film))
assert left(film) == [(400, 1100), (1100, 1200)], "the shift of shared slots changed"

film = tier(SPANS)
removed = film.remove_annotation("walk", 500)
print("remove 500 ", *SPANS, "->", *left(film))
assert removed == 2 and left(film) == [(1200, 1500)], "taking away at a border changed"
PYTHON
