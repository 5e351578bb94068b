#!/usr/bin/env bash
# timecode 1.5.1, time codes from seconds and back
#
# Expected: `Timecode(rate, start_seconds=3600.0)` and `Timecode(rate, "01:00:00.000")` are one picture, the
#           one that is shown after an hour, and its `float` is 3600 ("Return the seconds as float").
# Seen:     `start_seconds` counts 30 pictures a second at 29.97 as well, and ends one picture early at
#           every rate; `float` adds one picture and divides by 30. Numbers of pictures, from 0:
#
#             rate     on screen after 1 h   from "01:00:00.000"   from start_seconds      float of the text
#             25        90000                 90000                 89999  00:59:59:24     3600.04
#             29.97    107892                107892                107999  01:00:03;17     3596.43
#             59.94    215784                215784                215999  01:00:03;35     3596.42
#             23.976    86314                 86400                 86399  00:59:59:23     3600.04
#
#           At 10 s and 30 pictures a second `start_seconds` is 00:00:09:29. (Time codes of 23.976 drop no
#           numbers, so the text's hour is 3.6 s longer than one; that is SMPTE's doing.)
#
# Spans placed by seconds are 3.6 s late after an hour, and one picture early from the start. Count the
# pictures yourself (seconds times 30000 / 1001, rounded) and give `frames`, which counts from 1.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check timecode==1.5.1
cd "$work"
"$work/venv/bin/python" -I -W error - <<'PYTHON'
from fractions import Fraction
from importlib.metadata import version

from timecode import Timecode

SEEN = (
    # name, rate, seconds, text, number of the text, number and name of the seconds, float of the text
    ("30", Fraction(30), 10, "00:00:10.000", 300, 299, "00:00:09:29", 10.03),
    ("25", Fraction(25), 3600, "01:00:00.000", 90000, 89999, "00:59:59:24", 3600.04),
    ("29.97", Fraction(30000, 1001), 3600, "01:00:00.000", 107892, 107999, "01:00:03;17", 3596.43),
    ("59.94", Fraction(60000, 1001), 3600, "01:00:00.000", 215784, 215999, "01:00:03;35", 3596.42),
    ("23.976", Fraction(24000, 1001), 3600, "01:00:00.000", 86400, 86399, "00:59:59:23", 3600.04),
)

print("timecode", version("timecode"))
for name, rate, seconds, text, of_text, of_seconds, named, as_float in SEEN:
    true = round(seconds * rate)
    from_text, from_seconds = Timecode(name, text), Timecode(name, start_seconds=float(seconds))
    print(f"{name:6} {seconds} s: on screen {true}, text {from_text.frame_number}", end=", ")
    print(f"start_seconds {from_seconds.frame_number} ({from_seconds}), float {from_text.float:.2f}")
    assert from_text.frame_number == of_text, "the text's picture changed"
    assert (from_seconds.frame_number, str(from_seconds)) == (of_seconds, named), "start_seconds changed"
    assert round(from_text.float, 2) == as_float, "float changed"
    assert name == "23.976" or true == of_text
    counted = Timecode(name, frames=true + 1)
    assert counted.frame_number == true, "frames changed"
PYTHON
