"""An errand on the command line ends as it was asked to."""

import os
import signal
from contextlib import nullcontext
from dataclasses import replace

import pyarrow as pa
import pytest

from massannot.engine.settings import ExecutorSettings
from massannot.errors import NothingToRun
from massannot.jobs import outcome
from massannot.jobs.run import refuse_emulated_dtype
from massannot.models import runtime
from massannot.recipes.model_flags import BY_HAND, ModelFlags, run_spec
from massannot.recipes.spec import Answerer, RunSpec


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_asked_to_stop_before_anything_runs_the_code_is_75(number, capsys):
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as ended:
        outcome.run_and_print(lambda: os.kill(os.getpid(), number), as_json=False)
    assert ended.value.code == outcome.INTERRUPTED
    assert "the same command continues" in capsys.readouterr().err
    assert signal.getsignal(number) is before


def depth_lines(name: str, shares: list[float | None], **answerer: str) -> list[str]:
    clips = pa.table(
        {
            "depth_at_edge_share": pa.array(shares, pa.float32()),
            "n_frames": pa.array([10, 30, 20][: len(shares)], pa.int32()),
        }
    )
    spec = RunSpec(models={"depth": Answerer("model", name, **answerer)})
    return outcome.depth_lines(clips, spec)


def test_what_is_given_by_hand_at_a_time_without_a_frame_is_a_warning_that_names_the_times():
    frames = pa.table({"clip_id": ["b", "a", "b", "a"], "t_s": [0.6, 0.0, 0.4, 0.2]})
    options = {"detect.boxes": "0.1s:1,2,3,4;9s:1,2,3,4", "detect.points": "2.5s:1,2;0.6s:1,2"}
    spec = RunSpec(models={"detect": Answerer("model", BY_HAND)}, options=options)
    (warning,) = outcome.prompt_lines(frames, spec)
    assert "no frame was annotated at 2.5s, 9s," in warning
    assert "frames lie between 0 and 0.6 s" in warning
    known = replace(spec, options={"detect.boxes": "0.1s:1,2,3,4"})
    assert outcome.prompt_lines(frames, known) == []
    assert outcome.prompt_lines(frames, RunSpec()) == []


def test_depth_inside_the_range_of_its_weights_is_a_line_without_warning():
    assert depth_lines("small", [0.2, 0.0, None]) == [
        "depth: 5 % lies in the last tenth of the 20 m of its training"
    ]


@pytest.mark.parametrize(
    ("name", "more", "way"),
    [
        ("small", {}, "--profile small-outdoor was trained up to 80 m"),
        ("mass", {}, "--profile mass-outdoor was trained up to 80 m"),
        ("mass-outdoor", {}, "take weights that were trained farther"),
        ("small", {"weights": "mine"}, "take weights that were trained farther"),
        ("mine.py:Depth", {}, "take weights that were trained farther"),
    ],
    ids=["small", "mass", "nothing farther", "weights of the user", "a model of the user"],
)
def test_much_depth_at_the_edge_is_a_warning_that_names_a_profile_that_reaches_farther(
    name, more, way
):
    line, warning = depth_lines(name, [0.19, 0.21], **more)
    assert "20 %" in line
    assert warning.startswith("warning: in 1 of 2 clips it is more than 20 %")
    assert warning.endswith(way)


def test_depth_of_unknown_range_is_not_spoken_of():
    assert depth_lines("small", [None]) == []


@pytest.mark.parametrize(
    ("profile", "networks"),
    [("small", {"detect", "masks", "depth", "tracks"}), ("embedded", {"detect", "masks", "depth"})],
)
def test_a_dtype_is_that_of_every_network_and_of_nothing_else(profile, networks):
    options = ModelFlags(profile=profile, dtype="bf16").options()
    assert options == {f"{job}.dtype": "bf16" for job in networks}


@pytest.mark.parametrize("emulated", [True, False])
def test_bfloat16_is_refused_on_a_processor_that_would_emulate_it(monkeypatch, emulated):
    monkeypatch.setattr(runtime, "cpu_has_bfloat16", lambda: not emulated)
    spec = run_spec(flags=ModelFlags(profile="embedded", dtype="bf16"))
    expected = pytest.raises(NothingToRun, match="avx512_bf16") if emulated else nullcontext()
    with expected:
        refuse_emulated_dtype(spec, ExecutorSettings(device="cpu"))
