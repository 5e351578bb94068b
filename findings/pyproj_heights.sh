#!/usr/bin/env bash
# pyproj 3.7.2 (PROJ 9.5.1), heights above the ellipsoid (GNSS) and above sea level
#
# Expected: `Transformer.from_crs("EPSG:4979", "EPSG:9518")`, from WGS 84 to the same with heights of EGM2008,
#           takes the height of the geoid off, which is tens of metres in most places, or raises.
# Seen:     the wheel holds no grid of the geoid and asks for none over the network, and PROJ takes a
#           transformation that leaves the height as it is. Nothing warns, not with `only_best=True` either.
#
#             at                        height in   height out
#             Munich                    560 m       560 m
#             south of India (78 E, 4 N)  0 m         0 m
#
# A camera placed on a map of heights floats tens of metres above it, or lies below it. Give
# `allow_ballpark=False`, which raises, or look at `accuracy` (-1: unknown) and for "ballpark" in
# `description` after the first point.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    pyproj==3.7.2 certifi==2026.10.19.post1
cd "$work"
env -u PROJ_NETWORK -u PROJ_DATA -u PROJ_LIB HOME="$work" "$work/venv/bin/python" -I -W error - <<'PYTHON'
import pyproj
from pyproj import Transformer
from pyproj.exceptions import ProjError

PLACES = ((11.6, 48.1, 560.0), (78.0, 4.0, 0.0))

print("pyproj", pyproj.__version__, "PROJ", pyproj.proj_version_str)
for options in ({}, {"only_best": True}):
    transformer = Transformer.from_crs("EPSG:4979", "EPSG:9518", always_xy=True, **options)
    for longitude, latitude, height in PLACES:
        at_sea_level = transformer.transform(longitude, latitude, height)
        print(options, (longitude, latitude, height), "->", at_sea_level)
        assert at_sea_level == (longitude, latitude, height), "heights change now"
    print(transformer.description, transformer.accuracy)
    assert "ballpark vertical" in transformer.description and transformer.accuracy == -1
try:
    Transformer.from_crs("EPSG:4979", "EPSG:9518", always_xy=True, allow_ballpark=False)
except ProjError as error:
    print("allow_ballpark=False:", error)
else:
    raise AssertionError("allow_ballpark=False does not raise now")
PYTHON
