"""RunSpec holds everything that decides the rows, and flags say who does which job in it."""

from __future__ import annotations

import itertools
import json
from dataclasses import MISSING, fields, replace
from typing import Any

import pytest

from massannot.cli.options import RecipeOptions
from massannot.errors import BadRecipe, UsageError
from massannot.models.profiles import Job
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.recipes.models import JOBS, NEEDED
from massannot.recipes.spec import Answerer, RunSpec, Selection
from massannot.stages._stage import Pipeline
from massannot.video.sampling import Sampling
from massannot.video.shot_rule import ShotRule

RULE = ShotRule(**{f.name: 2 * f.default for f in fields(ShotRule)})
FULL = RunSpec(
    sources=("a.mp4", "s3://bucket/films"),
    phrases=("a ball", "мяч"),
    select=Selection(limit=7, sample="random", seed=3, root="/films", start_s=1.5, end_s=8.0),
    sampling=Sampling(
        fps=None, clip_s=5.5, max_frames=64, long_side=640, shots=RULE, shared_frames=True
    ),
    recipe="/mine/recipe.py",
    models={
        "detect": Answerer("file", "boxes.json"),
        "masks": Answerer("scene", "world"),
        "depth": Answerer("model", "small", weights="someone/depth", revision="c" * 40),
    },
    options={"depth.dtype": "bf16", "track_points.max_per_entity": "9"},
    grid_size=5,
    poses="estimate",
    known_sizes={"a ball": 0.24},
    depth_maps=True,
    calibration="none",
    shard_pixels=1.5e9,
    folder="/here",
)


@pytest.mark.parametrize(
    "value",
    [FULL, FULL.select, FULL.sampling, RULE, FULL.models["depth"]],
    ids=lambda v: type(v).__name__,
)
def test_no_field_of_the_full_spec_has_its_default(value: Any) -> None:
    """So that the test of the round trip misses no field, old or new."""
    for field in fields(value):
        made = field.default_factory
        default = field.default if made is MISSING else made()
        assert getattr(value, field.name) != default, field.name


@pytest.mark.parametrize("spec", [FULL, RunSpec(), run_spec()], ids=["full", "empty", "flags"])
def test_a_spec_comes_back_from_json(spec: RunSpec) -> None:
    again = RunSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert again == spec
    assert json.dumps(again.to_json()) == json.dumps(spec.to_json())
    assert list(again.options) == list(spec.options)


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ((), "colour"),
        (("select",), "select.colour"),
        (("models", "depth"), "models.depth.colour"),
        (("sampling",), "colour"),
        (("sampling", "shots"), "colour"),
    ],
)
def test_a_field_of_another_version_is_refused_by_name(place: tuple[str, ...], name: str) -> None:
    values = json.loads(json.dumps(FULL.to_json()))
    inner = values
    for key in place:
        inner = inner[key]
    inner["colour"] = "red"
    with pytest.raises(UsageError, match=rf"found (the fields )?{name}, expected"):
        RunSpec.from_json(values)


FLAG_OF_LETTER = {"m": "--model", "f": "the job's file", "t": "--oracle", "p": "--profile embedded"}
ANSWER = {
    "": "method",
    "p": "profile",
    "t": "scene",
    "tp": "scene",
    "f": "file",
    "fp": "file",
    "ft": "file",
    "ftp": "file",
    "m": "model",
    "mp": "model",
    "mt": "model",
    "mtp": "model",
    "mf": "refused",
    "mfp": "refused",
    "mft": "refused",
    "mftp": "refused",
}
"""Which flags speak of a job, by FLAG_OF_LETTER, to what answers it."""
METHODS = {"tracks": "lucas_kanade:LucasKanade", "cameras": "camera_pinhole:PinholeCamera"}


def flags_for(job: Job, letters: str) -> ModelFlags:
    return ModelFlags(
        profile="embedded" if "p" in letters else "none",
        files={job: f"{job}.file"} if "f" in letters else {},
        scenes="world",
        oracles=(job,) if "t" in letters else (),
        models={job: "mine:Model@weights"} if "m" in letters else {},
    )


def test_the_table_has_every_combination_of_flags() -> None:
    chosen = itertools.product(*((letter, "") for letter in FLAG_OF_LETTER))
    assert sorted(map("".join, chosen)) == sorted(ANSWER)


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize(("letters", "answer"), ANSWER.items())
def test_the_first_that_a_flag_names_does_the_job(job: Job, letters: str, answer: str) -> None:
    if job == "cuboids" and "t" in letters:  # no oracle does this job
        with pytest.raises(UsageError, match="--oracle cuboids: expected some of detect"):
            flags_for(job, letters)
        return
    flags = flags_for(job, letters)
    if answer == "refused":
        with pytest.raises(UsageError, match=f"--model {job}=... and {JOBS[job].flag}: found both"):
            flags.answerers()
        return
    if answer == "profile" and job in ("cameras", "second_depth", "cuboids"):
        answer = "method"  # no profile has a model for these
    method = Answerer("model", METHODS[job]) if job in METHODS else None
    expected = {
        "model": Answerer("model", "mine:Model", weights="weights"),
        "file": Answerer("file", f"{job}.file"),
        "scene": Answerer("scene", "world"),
        "profile": Answerer("model", "embedded"),
        "method": method,
    }
    assert flags.answerers().get(job) == expected[answer]


MASKS_FILE = Answerer("file", "masks.json")


@pytest.mark.parametrize(
    ("more", "detector"),
    [
        pytest.param({}, MASKS_FILE, id="alone"),
        pytest.param({"profile": "embedded"}, MASKS_FILE, id="before a profile"),
        pytest.param({"oracles": ("masks",)}, MASKS_FILE, id="the truth of masks is not of boxes"),
        pytest.param({"oracles": ("detect",)}, Answerer("scene", "world"), id="after the truth"),
        pytest.param({"models": {"detect": "small"}}, Answerer("model", "small"), id="a model"),
        pytest.param(
            {"files": {"masks": "masks.json", "detect": "boxes.json"}},
            Answerer("file", "boxes.json"),
            id="after boxes",
        ),
    ],
)
def test_masks_from_a_file_answer_for_boxes_too(more: dict[str, Any], detector: Answerer) -> None:
    given = {"profile": "none", "files": {"masks": "masks.json"}, "scenes": "world", **more}
    answerers = ModelFlags(**given).answerers()
    assert answerers["detect"] == detector
    assert answerers["masks"] == MASKS_FILE


def test_auto_is_the_small_profile_and_other_weights_stay_with_their_job() -> None:
    answerers = ModelFlags(weights={"depth": "someone/depth"}).answerers()
    assert answerers["depth"] == Answerer("model", "small", weights="someone/depth")
    assert answerers["masks"] == Answerer("model", "small")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"models": {"eyes": "small"}}, "--model eyes: expected one of detect, masks"),
        ({"weights": {"eyes": "x"}}, "--weights eyes: expected one of detect, masks"),
        ({"oracles": ("ears", "eyes")}, "--oracle ears,eyes: expected some of detect"),
        ({"oracles": ("depth",), "scenes": None}, "--oracle needs --scenes FOLDER"),
        ({"dtype": "fp7"}, "--dtype fp7: expected one of auto, fp32"),
    ],
)
def test_flags_that_mean_nothing_are_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        ModelFlags(**{"scenes": "world", **given})


NO_MODELS: dict[str, Any] = {"profile": "none", "scenes": "world", "oracles": NEEDED}
PINHOLE: dict[str, Any] = {"oracles": ("detect", "masks", "depth", "tracks")}


@pytest.mark.parametrize(
    ("given", "sentences"),
    [
        pytest.param({"profile": "small"}, [], id="no flag"),
        pytest.param(
            {
                "profile": "small",
                "weights": {"depth": "x", "tracks": "y"},
                "box_threshold": 0.2,
                "text_threshold": 0.0,
                "dtype": "fp32",
                "hfov_deg": 70.0,
            },
            [],
            id="all have an effect on a profile",
        ),
        pytest.param({**NO_MODELS, **PINHOLE, "hfov_deg": 70.0}, [], id="a pinhole is assumed"),
        pytest.param(
            {**NO_MODELS, "hfov_deg": 70.0}, ["--hfov has no effect: cameras are given"], id="hfov"
        ),
        pytest.param(
            {**NO_MODELS, "dtype": "fp32"},
            ["--dtype has no effect: no model of a profile takes part"],
            id="dtype",
        ),
        pytest.param(
            {**NO_MODELS, "box_threshold": 0.0},
            ["--box-threshold has no effect: no model of a profile detects here"],
            id="a threshold of zero is given too",
        ),
        pytest.param(
            {**NO_MODELS, "text_threshold": 0.3},
            ["--text-threshold has no effect: no model of a profile detects here"],
            id="text threshold",
        ),
        pytest.param(
            {"profile": "small", "files": {"depth": "d.npz"}, "weights": {"depth": "x"}},
            ["--weights depth=... has no effect: the profile's model does not do that job here"],
            id="weights of a job that a file answers",
        ),
    ],
)
def test_a_flag_that_changes_nothing_is_named(given: dict[str, Any], sentences: list[str]) -> None:
    flags = ModelFlags(**given)
    assert list(flags.without_effect()) == sentences
    silent = replace(
        flags, box_threshold=None, text_threshold=None, dtype="auto", hfov_deg=None, weights={}
    )
    same = run_spec(flags=flags) == run_spec(flags=silent)
    assert same == (bool(sentences) or given == {"profile": "small"}), "and it is true"


def stage(pipeline: Pipeline, name: str) -> Any:
    (found,) = (stage for stage in pipeline.stages if stage.name == name)
    return found


BY_JOB, BY_STAGE = "detect.box_threshold", "detect_phrases.detector.box_threshold"


@pytest.mark.parametrize(
    ("options", "threshold"),
    [
        pytest.param({}, 0.1, id="the flag's"),
        pytest.param({BY_JOB: "0.2"}, 0.2, id="before the flag's, the job's own"),
        pytest.param({BY_JOB: "0.2", BY_STAGE: "0.3"}, 0.3, id="the stage's last"),
        pytest.param({BY_STAGE: "0.3", BY_JOB: "0.2"}, 0.3, id="in any order"),
    ],
)
def test_of_two_values_the_nearer_to_the_stage_wins(
    options: dict[str, str], threshold: float
) -> None:
    flags = ModelFlags(profile="embedded", box_threshold=0.1)
    pipeline = run_spec(flags=flags, options=options).pipeline()
    assert stage(pipeline, "detect_phrases").detector.box_threshold == threshold


POINTS = "track_points.max_per_entity"


@pytest.mark.parametrize(
    ("options", "points"),
    [
        pytest.param([], 9, id="the grid's"),
        pytest.param([f"{POINTS}=5"], 5, id="before the grid's, the stage's own"),
        pytest.param([f"{POINTS}=5", f"{POINTS}=6"], 6, id="the later of two"),
    ],
)
def test_on_the_command_line_the_later_and_the_nearer_win(options: list[str], points: int) -> None:
    given = RecipeOptions(profile="embedded", grid_size=3, options=options)
    spec = given.spec((), given.flags(), depth_maps=False)
    assert stage(spec.pipeline(), "track_points").max_per_entity == points


def with_pinhole(**given: Any) -> RunSpec:
    options = given.pop("options", None)
    return run_spec(flags=ModelFlags(**NO_MODELS | PINHOLE | given), options=options)


@pytest.mark.parametrize(
    ("given", "degrees"),
    [
        ({}, None),
        ({"hfov_deg": 75}, 75.0),
        ({"options": {"cameras.horizontal_fov_deg": "75"}}, 75.0),
        ({"hfov_deg": 75.5, "options": {"cameras.horizontal_fov_deg": "40"}}, 40.0),
    ],
)
def test_an_option_of_a_job_has_its_model_s_type(
    given: dict[str, Any], degrees: float | None
) -> None:
    spec = RunSpec.from_json(json.loads(json.dumps(with_pinhole(**given).to_json())))
    found = stage(spec.pipeline(), "estimate_cameras").model.horizontal_fov_deg
    assert (type(found), found) == (type(degrees), degrees)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("cameras.horizontal_fov_deg", "wide", r"cameras\.horizontal_fov_deg='wide': expected a"),
        ("cameras.horizontal_fov_deg", "400", "found a horizontal field of view of 400.0 degrees"),
        ("cameras.colour", "red", r"cameras has no option 'colour'; options: \["),
        ("detect.shift_x_px", "far", r"detect\.shift_x_px='far': expected a float"),
        (
            "track_points.max_per_entity",
            "many",
            r"track_points\.max_per_entity='many': expected a int",
        ),
        ("nobody.length", "3", "no stage 'nobody'"),
    ],
)
def test_a_wrong_option_is_refused_by_its_name(option: str, value: str, words: str) -> None:
    with pytest.raises(BadRecipe, match=words):
        with_pinhole(options={option: value}).pipeline()
