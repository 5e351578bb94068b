"""Profiles are descriptions: cheap to list, honest about licences, whole in what they name."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from massannot.errors import NothingToRun, UsageError
from massannot.models.profiles import PERMISSIVE, PROFILES, UNPINNED, ProfileModel, named
from massannot.models.weights import SHIPPED, Weights, find
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.recipes.models import NEEDED, needed_weights
from massannot.stages.state_intervals import StateIntervals


def test_describing_a_run_of_any_profile_imports_neither_torch_nor_the_hub() -> None:
    code = """
    import sys
    from massannot.jobs import annotate, run
    from massannot.models.profiles import PROFILES
    from massannot.recipes.model_flags import ModelFlags, run_spec
    for profile in PROFILES:
        [str(weights) for weights in profile.weights]
        run_spec(flags=ModelFlags(profile=profile.name)).pipeline().describe()
    heavy = ("torch", "transformers", "huggingface_hub", "cv2")
    print([name for name in heavy if name in sys.modules])
    """
    code = textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_profile_does_every_job_once() -> None:
    for profile in PROFILES:
        jobs = sorted(set(profile.jobs) - {"cameras"})
        assert jobs == ["depth", "detect", "masks", "tracks"], profile.name
        assert len(profile.jobs) == len(set(profile.jobs)), profile.name


def test_revisions_are_commits_so_that_a_profile_means_the_same_files_next_year() -> None:
    loose = [
        str(w)
        for profile in PROFILES
        for w in profile.weights
        if w.on_hub and not w.is_pinned and w.source not in UNPINNED
    ]
    assert loose == []
    specs = [run_spec(flags=ModelFlags(profile=name)) for name in ("frontier", "recent")]
    needed = {w.source: w.revision for spec in specs for w in needed_weights(spec)}
    assert {source for source, revision in needed.items() if revision == "main"} == UNPINNED


@pytest.mark.parametrize(
    ("name", "restricted"),
    [
        ("mass", {"depth", "tracks"}),
        ("small", {"depth", "tracks"}),
        ("fast", {"depth"}),
        ("mass-outdoor", {"depth", "tracks"}),
        ("small-outdoor", {"depth", "tracks"}),
        ("frontier", {"detect", "masks", "depth", "cameras", "tracks"}),
        ("recent", {"depth", "cameras", "tracks"}),
        ("permissive-relative", set()),
        ("embedded", set()),
    ],
)
def test_what_is_not_permissive_is_said(name: str, restricted: set[str]) -> None:
    profile = named(name)
    assert {model.job for model in profile.restricted} == restricted
    for model in profile.restricted:
        assert model.license in profile.note
    assert all(
        m.license in PERMISSIVE for m in profile.models if m not in profile.restricted and m.weights
    )


def test_a_field_of_view_that_is_given_wins_over_a_profile_that_estimates_it() -> None:
    estimating, given = (
        ModelFlags(profile="frontier", hfov_deg=degrees).answerers()["cameras"].name
        for degrees in (None, 70.0)
    )
    assert (estimating, given) == ("frontier", "camera_pinhole:PinholeCamera")


def test_a_model_says_with_what_it_was_seen() -> None:
    said = {m.seen for p in PROFILES for m in p.models if m.weights and m.weights.on_hub}
    assert said == {"seen with random weights of its architecture, never with these"}
    assert "these weights" in named("embedded").model("depth").seen


def test_an_unknown_profile_is_refused_with_those_that_exist() -> None:
    with pytest.raises(UsageError, match="no profile 'big'; profiles: mass, mass-outdoor, small, "):
        named("big")


@pytest.mark.parametrize("name", ["mass", "small"])
def test_an_outdoor_profile_differs_in_its_depth_alone_and_reaches_farther(name: str) -> None:
    indoor, outdoor = named(name), named(named(name).farther)
    assert outdoor.name == f"{name}-outdoor"
    differing = [job for job in indoor.jobs if indoor.model(job) != outdoor.model(job)]
    assert differing == ["depth"]
    assert (indoor.model("depth").range_m, outdoor.model("depth").range_m) == (20, 80)


def test_the_range_of_the_shipped_depth_is_that_of_its_configuration() -> None:
    model = named("embedded").model("depth")
    assert model.weights is not None
    config = json.loads((find(model.weights).folder / "config.json").read_text())
    assert model.range_m == config["max_depth"]


def test_weights_can_be_replaced_for_one_job(tmp_path: Path) -> None:
    profile = named("small").using("depth", Weights(str(tmp_path)))
    assert profile.model("depth").weights == Weights(str(tmp_path))
    assert profile.model("masks") == named("small").model("masks")


def test_every_adapter_of_every_profile_can_be_built() -> None:
    for profile in PROFILES:
        for model in profile.models:
            assert model.build().card().name, (profile.name, model.job)


def test_building_an_adapter_loads_nothing() -> None:
    adapter = named("small").model("detect").build(box_threshold=0.2)
    assert adapter.box_threshold == 0.2
    assert adapter.card().weights.startswith("IDEA-Research/grounding-dino-tiny")


def test_an_extra_that_a_backbone_needs_is_named_before_its_weights_are_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    masks = named("fast").using("masks", Weights("./nowhere")).model("masks").build()
    with pytest.raises(NothingToRun, match=r"pip install 'massannot\[edgetam\]'"):
        masks.setup(device="cpu")


def test_thresholds_found_in_training_come_from_the_weights_card(tmp_path: Path) -> None:
    card = {"options": {"box_threshold": 0.11, "readout": "encoder", "top_k": 5}}
    (tmp_path / "card.json").write_text(json.dumps(card))
    model = ProfileModel("detect", "grounding_dino:GroundingDino", Weights(str(tmp_path)))
    adapter = model.build(top_k=7)
    assert (adapter.box_threshold, adapter.readout, adapter.top_k) == (0.11, "encoder", 7)


def test_two_installations_of_the_embedded_profile_describe_one_recipe() -> None:
    described = json.dumps(run_spec(flags=ModelFlags(profile="embedded")).pipeline().describe())
    assert '"embedded/grounding_dino"' in described
    assert str(Path(__file__).parents[2]) not in described


def test_shipped_weights_are_found_whatever_lies_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "embedded" / "depth_anything").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    shipped = named("embedded").model("depth").weights
    assert shipped is not None
    assert not shipped.on_hub
    assert find(shipped).folder == SHIPPED / "embedded" / "depth_anything"
    assert find(shipped).card(name="x", n_parameters=1).weights == "embedded/depth_anything"


def test_a_profile_brings_the_options_that_suit_its_weights_and_the_user_has_the_last_word() -> (
    None
):
    def stages_of(profile: str, options: dict[str, str]) -> dict[str, Any]:
        spec = run_spec(flags=ModelFlags(profile=profile), options=options)
        return {stage["stage"]: stage for stage in spec.pipeline().describe()["stages"]}

    stages = stages_of("embedded", {"propagate_masks.renew": "false"})
    assert stages["detect_phrases"]["key_every"] == 8
    assert stages["propagate_masks"]["renew"] is False
    assert stages_of("small", {})["detect_phrases"]["key_every"] == 32


@pytest.mark.parametrize(
    ("calibration", "flags"),
    [
        ("embedded", ModelFlags(profile="embedded", hfov_deg=50)),
        ("oracle", ModelFlags(profile="none", scenes="scenes", oracles=NEEDED)),
    ],
)
def test_the_shipped_calibration_is_true_of_the_defaults(
    calibration: str, flags: ModelFlags
) -> None:
    """A default that decides errors may not change without `make calibration`."""
    states = run_spec(flags=flags).pipeline().stages
    (stage,) = (stage for stage in states if isinstance(stage, StateIntervals))
    assert stage.calibration.name == calibration
