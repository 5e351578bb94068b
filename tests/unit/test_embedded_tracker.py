"""Who tracks in the embedded profile, and that its card says so with what was measured."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("cv2")

import torch

from massannot.models.cotracker3.encoder import Features
from massannot.models.cotracker3.point_tokens import correlate, sample_templates
from massannot.models.lucas_kanade import LucasKanade
from massannot.models.profiles import named
from massannot.models.weights import SHIPPED
from massannot.scenes.world import VALIDATION_SEEDS
from tools import judge_tracker, train_embedded
from tools.embedded import tracking

MARGIN = 0.03
CARD: dict[str, Any] = json.loads(judge_tracker.CARD.read_text())


def test_the_card_is_of_the_tracker_that_the_profile_builds() -> None:
    profile = named("embedded")
    assert profile.model("tracks").build().card().name == CARD["name"] == "lucas_kanade"
    assert "Lucas-Kanade" in profile.note


def test_a_network_that_is_no_better_is_not_shipped() -> None:
    network = CARD["trained_network"]
    gain, low, high = network["AJ_above_lucas_kanade"]
    assert gain == pytest.approx(network["AJ"][0] - CARD["validation"]["AJ"][0], abs=2e-4)
    assert low <= gain <= high
    assert low <= 0
    assert network["shipped"] is (SHIPPED / "embedded" / "cotracker3").exists() is False


def test_lucas_kanade_scores_what_its_card_says() -> None:
    said = CARD["check"]
    films = [judge_tracker.film(seed) for seed in VALIDATION_SEEDS[: said["clips"]]]
    rows = judge_tracker.rows_of(judge_tracker.ready(LucasKanade()), films)
    errors = {n: judge_tracker.column(rows, n).mean() - said[n] for n in judge_tracker.SCORES}
    assert max(abs(e) for e in errors.values()) < MARGIN, errors


@pytest.mark.parametrize("step", [(0, 0), (2, 0), (-1, 2), (-2, -2)])
def test_a_tracker_to_be_trained_begins_by_telling_shifts_apart(step: tuple[int, int]) -> None:
    torch.manual_seed(0)
    net = tracking.network()
    tracking.align(net)
    before = torch.nn.functional.normalize(torch.randn(1, 1, 24, 20, 64), dim=-1)
    after = before.roll(step, dims=(2, 3))  # maps are (B, T, x, y, D)
    features = Features((torch.cat([before, after], 1),), torch.arange(2))
    xy, first = torch.tensor([[11.0, 9.0]]), torch.zeros(1, dtype=torch.long)
    (template,) = sample_templates(features, xy, first, first, radius=2)
    found = correlate(features, 0, xy.expand(2, 2)[None], template, first, radius=2)
    fits = net.corr_mlp.fc1(found[1:])[0, :25]
    best = int(fits.argmax())
    assert (best // 5 - 2, best % 5 - 2) == step


def test_points_to_learn_from_are_asked_for_where_they_are_seen() -> None:
    clip = tracking.tracked_clip(2_000_000)
    seen = clip.visible[np.repeat(tracking.QUERY_FRAMES, tracking.POINTS_KEPT), np.arange(384)]
    assert seen.mean() > 0.99


@pytest.mark.parametrize("said", ["tracking", "depth --features run"])
def test_an_encoder_is_wanted_by_the_tracker_and_by_no_other_model(
    said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rest = "--data none --validation none --run none --steps 1 --cooldown 1"
    monkeypatch.setattr("sys.argv", ["train_embedded.py", *said.split(), *rest.split()])
    with pytest.raises(SystemExit, match="2"):
        train_embedded.main()
    assert "--features: tracking needs it, no other model takes it" in capsys.readouterr().err
