#!/usr/bin/env bash
# sleap-io 0.9.5, two animals that are never in the same picture, as an array
#
# Expected: Labels.numpy() has a column for each of the two tracks; `untracked=False`, its default,
#           means that tracks count. The second animal comes two pictures after the first has left.
# Seen:     as no picture holds two of them, both are written into one column, under no track's name.
#           One more picture in which they meet, and there are two columns:
#
#             picture              0    1    2    3    4    5    6
#             never together     100  101  102    -    -  205  206    one column
#             together at 3      100  101  102  103                   track "first"
#                                               203    -  205  206    track "second"
#
# A speed or a path from it jumps from one animal to the other, and whether it does depends on the
# part of the film that is read. Fill an array by instance.track, as below, or go through
# save_analysis_h5(), which keeps both.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check sleap-io==0.9.5 numpy==2.2.6
cd "$work"
"$work/venv/bin/python" -I - <<'PYTHON'
import h5py
import numpy as np
import sleap_io

FIRST, SECOND = sleap_io.Track("first"), sleap_io.Track("second")
SKELETON = sleap_io.Skeleton(["nose", "tail"])


def labels(first, second):
    film = sleap_io.Video(filename="film.mp4", open_backend=False)
    film.backend_metadata["shape"] = (7, 480, 640, 1)
    pictures = []
    for number in range(7):
        animals = []
        for track, numbers, x in ((FIRST, first, 100), (SECOND, second, 200)):
            if number in numbers:
                points = np.array([[x + number, 50.0], [x + number, 90.0]])
                animal = sleap_io.PredictedInstance.from_numpy(points, SKELETON, track=track)
                animals.append(animal)
        picture = sleap_io.LabeledFrame(video=film, frame_idx=number, instances=animals)
        pictures.append(picture)
    return sleap_io.Labels(pictures, videos=[film], tracks=[FIRST, SECOND], skeletons=[SKELETON])


def by_track(found):
    noses = np.full((7, len(found.tracks)), np.nan)
    for picture in found:
        for animal in picture.instances:
            noses[picture.frame_idx, found.tracks.index(animal.track)] = animal.numpy()[0, 0]
    return noses


NONE = np.nan
print("sleap-io", sleap_io.__version__)

apart = labels(range(0, 3), range(5, 7))
noses = apart.numpy(untracked=False)[:, :, 0, 0]
print("never together", noses.T.tolist())
assert np.array_equal(noses.T, [[100, 101, 102, NONE, NONE, 205, 206]], equal_nan=True), "it changed"

together = labels(range(0, 4), [3, 5, 6])
noses = together.numpy(untracked=False)[:, :, 0, 0]
print("together at 3 ", noses.T.tolist())
assert np.array_equal(noses, by_track(together), equal_nan=True), "it changed"

sleap_io.save_analysis_h5(apart, "apart.h5")
with h5py.File("apart.h5") as file:
    noses = file["tracks"][:, 0, 0]
assert np.array_equal(noses, by_track(apart).T, equal_nan=True), "the analysis file changed"
PYTHON
