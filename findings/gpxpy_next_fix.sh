#!/usr/bin/env bash
# gpxpy 1.6.2, where a picture was taken, by the track of a GPS receiver
#
# Expected: `get_location_at(time)`, "approx. location at given time", lies between the two fixes around
#           that time, or is the one of them that is nearer.
# Seen:     it is the next fix, however near the one before is, with the next fix's time. A car at 14 m/s,
#           one fix a second, 30 pictures a second, after picture 0 at 10:00:00:
#
#             picture   time     fix that is returned   metres ahead of the car
#             0          0.00     0 s                    0
#             1          0.03     1 s                   13.5
#             15         0.50     1 s                    7
#             30         1.00     1 s                    0
#             31         1.03     2 s                   13.5
#
#           29 of 30 pictures are ahead of where they were taken, by 7 m in the middle: the error has one
#           sign, and smoothing it makes a car that drives half a second too early. With a fix every 10
#           seconds, as loggers that spare their battery write, it is up to 140 m.
#
# Interpolate between the fixes yourself, by `point.time`.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check gpxpy==1.6.2
cd "$work"
"$work/venv/bin/python" -I -W error - <<'PYTHON'
from datetime import datetime, timedelta, timezone
from importlib.metadata import version
from statistics import fmean

import gpxpy

START = datetime(2024, 5, 1, 10, tzinfo=timezone.utc)
METRES_A_DEGREE = 40_007_863 / 360
SPEED = 14.0


def track(every_s):
    points = "".join(
        f'<trkpt lat="{SPEED * second / METRES_A_DEGREE:.9f}" lon="11">'
        f"<time>{(START + timedelta(seconds=second)).isoformat()}</time></trkpt>"
        for second in range(0, 61, every_s)
    )
    return gpxpy.parse(
        '<gpx version="1.1" creator="receiver" xmlns="http://www.topografix.com/GPX/1/1">'
        f"<trk><trkseg>{points}</trkseg></trk></gpx>"
    )


def ahead(gpx, picture):
    seconds = picture / 30
    (point,) = gpx.get_location_at(START + timedelta(seconds=seconds))
    fix = (point.time - START).total_seconds()
    return fix, point.latitude * METRES_A_DEGREE - SPEED * seconds


print("gpxpy", version("gpxpy"))
every_second, every_ten = track(1), track(10)
for picture, expected in ((0, 0), (1, 1), (15, 1), (30, 1), (31, 2)):
    fix, metres = ahead(every_second, picture)
    print(f"picture {picture}, {picture / 30:.2f} s: the fix of {fix:.0f} s, {metres:.1f} m ahead")
    assert fix == expected, "another fix is returned"
    assert abs(metres - SPEED * (fix - picture / 30)) < 0.01, "the fix was interpolated"
errors = [ahead(every_second, picture)[1] for picture in range(900)]
far = max(ahead(every_ten, picture)[1] for picture in range(900))
print(f"30 seconds: {fmean(errors):.1f} m ahead on average, never behind ({min(errors):.3f} m);", end=" ")
print(f"with a fix every 10 seconds up to {far:.0f} m")
assert min(errors) > -0.01 and sum(error > 0.1 for error in errors) == 870, "the sign changed"
assert 6.5 < fmean(errors) < 7 and 139 < far < 140, "the distance changed"
PYTHON
