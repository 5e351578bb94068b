"""What leaves for another tool comes back as given boxes and masks, frame by frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from massannot.dataset.reading import open_dataset
from massannot.exporters import Exporter, cvat, rerun
from massannot.models.recorded.object_files import RecordedBoxes, RecordedMasks
from tests.unit.odd_films import RATES, H, W, annotated, box_at, mask_at, state_at


@pytest.mark.parametrize(
    ("form", "file", "absent"), [(cvat, "film.xml", 0.0), (rerun, "", 0.125)], ids=["cvat", "rerun"]
)  # CVAT has no belief in what is not there
@pytest.mark.parametrize("rate", sorted(RATES))
def test_boxes_masks_and_states_come_back_on_films_of_odd_rates(
    rate: str, form: Exporter, file: str, absent: float, tmp_path: Path
) -> None:
    clip, out = annotated(rate, tmp_path)
    written = form.export(open_dataset(out), tmp_path / "exported")
    assert written.left_out == ()
    path = str(tmp_path / "exported" / file)
    boxes, masks = RecordedBoxes(path), RecordedMasks(path)
    boxes.setup(device="cpu")
    masks.setup(device="cpu")
    seen = [f for f in range(len(clip)) if state_at(f) == "visible"]
    assert boxes.frames_named(clip.frames) == seen
    found = boxes.detect(clip.frames, at=range(len(clip)), phrases=("a ball",))
    assert found.frame.tolist() == seen
    assert np.abs(found.boxes_xyxy - [box_at(f) for f in seen]).max() < 1e-6
    assert (found.track == found.track[0]).all()
    session = masks.session(clip.frames)
    session.add_box(0, frame=0, box_xyxy=np.array(box_at(0), np.float32))
    for answer in session.propagate(first=0, end=len(clip)):
        state = state_at(answer.frame)
        expected = mask_at(answer.frame) if state == "visible" else np.zeros((H, W), np.bool_)
        assert np.array_equal(answer.masks[0], expected)
        assert session.is_known(0, frame=answer.frame) == (state is not None)
        belief = {"visible": 0.75, "occluded": 0.75, "absent": absent, None: 0.0}[state]
        assert answer.score[0] == belief
