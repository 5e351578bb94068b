#!/usr/bin/env bash
# OpenTimelineIO 0.18.1, the frame number of a time in seconds
#
# Expected: the time of picture n, n / rate in double precision, is frame n again; so is a time that
#           OpenTimelineIO wrote itself with to_time_string().
# Seen:     from_seconds(time, rate).to_frames() cuts off what is behind the point: 14.999999999999998
#           is 14. Written times end after microseconds and are cut off too, and a fraction below 0.0001
#           loses its zeros: picture 8002, at 267.000067 s, is written as 00:04:27.666667. Of 10,000:
#
#             pictures a second    one too early    one too early after to_time_string()
#             24                        0           6678
#             25                      573            736
#             30                      200           6734
#             30000/1001             1111           7145, and 8002 is 8021
#
# Spans and cuts handed over in seconds start in the shot before, at every ninth picture of NTSC film.
# Use round(time.value) instead of to_frames(), and write value and rate, not time strings.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check opentimelineio==0.18.1
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
from collections import Counter
from fractions import Fraction

import opentimelineio
from opentimelineio import opentime

EXPECTED = {
    Fraction(24): ({0: 10_000}, {0: 3322, -1: 6678}),
    Fraction(25): ({0: 9427, -1: 573}, {0: 9264, -1: 736}),
    Fraction(30): ({0: 9800, -1: 200}, {0: 3266, -1: 6734}),
    Fraction(30000, 1001): ({0: 8889, -1: 1111}, {0: 2854, -1: 7145, 19: 1}),
}

print("OpenTimelineIO", opentimelineio.__version__)
for rate, expected in EXPECTED.items():
    seconds, text = Counter(), Counter()
    for number in range(10_000):
        time = opentime.from_seconds(float(number / rate), float(rate))
        assert round(time.value) == number
        seconds[time.to_frames() - number] += 1
        written = opentime.RationalTime(number, float(rate)).to_time_string()
        text[opentime.from_time_string(written, float(rate)).to_frames() - number] += 1
    print(rate, "frames off, of seconds:", dict(seconds), "of time strings:", dict(text))
    assert (seconds, text) == expected, "the frames changed"

written = opentime.RationalTime(8002, 30000 / 1001).to_time_string()
print("picture 8002 of 30000/1001, at 267.000067 s, is written", written)
assert written == "00:04:27.666667", "the writing of small fractions changed"
PYTHON
