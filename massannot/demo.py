"""`massannot demo`: the whole job on a clip that is rendered on the spot, then compared with its
exact truth. The shipped weights answer, from text; only the lens and its way are told. One clip
proves nothing, so what many clips gave is printed below it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from massannot.dataset.reading import open_dataset
from massannot.engine.settings import ExecutorSettings
from massannot.evaluate import dataset_scores, shipped_accuracy
from massannot.jobs import annotate
from massannot.jobs.outcome import DONE
from massannot.jobs.run import RunOptions
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.recipes.spec import RunSpec
from massannot.scenes.scene_record import SceneLibrary
from massannot.scenes.world import HELD_OUT_SEEDS, TEST_SEEDS, Scene, SceneOptions, make_scene
from massannot.scenes.write import write_scenes
from massannot.video.sampling import Sampling

SEED = TEST_SEEDS.start + 2
WIDTH, HEIGHT = 320, 256
NOW_YOURS = (
    "Now yours, with weights that know real video: massannot annotate ball.mp4 -p ball -o out"
)


def run(out: Path, *, seed: int = SEED, truth: bool = False, as_json: bool = False) -> int:
    """Render, annotate, draw, evaluate; the exit code of the annotation.

    `truth`: let the scene answer instead of the shipped models, so that only tracking, lifting and
    what follows are judged.
    """
    options = SceneOptions(width=WIDTH, height=HEIGHT, camera="static")
    scenes = out / "scenes"
    _say(f"rendering scene {seed} into {scenes}")
    write_scenes(scenes, seeds=[seed], options=options)
    scene = make_scene(seed, options)
    spec = _spec(scenes, seed, prompts_of(scene), truth=truth)
    annotated = out / "annotated"
    outcome = annotate.run(spec, annotated, ExecutorSettings(), RunOptions(max_failed=0.0))
    rows: tuple[dataset_scores.Row, ...] = ()
    if outcome.code == DONE:
        rows = dataset_scores.evaluate(open_dataset(annotated), SceneLibrary(scenes)).scores
    if as_json:
        found = {**outcome.as_json, "scores": dataset_scores.scores_as_json(rows)}
        if not truth:
            found["accuracy"] = json.loads(shipped_accuracy.read().to_json())
        print(json.dumps(found, indent=2))
    else:
        print(outcome.text)
        if rows:
            print(f"\n'{spec.phrases[-1]}' is not in the scene: to find none is right")
            _print_scores(rows, seed=seed)
            if not truth:
                print(f"\n{shipped_accuracy.as_text(shipped_accuracy.read())}")
            print(f"\n{shipped_accuracy.ONLY_RENDERED}\n{NOW_YOURS}")
    return outcome.code


def prompts_of(scene: Scene) -> tuple[str, ...]:
    """The scene's things, and one thing that is not there: not finding it is part of the job."""
    return (*scene.phrases(), *scene.hard_negatives(1))


def _spec(scenes: Path, seed: int, phrases: tuple[str, ...], *, truth: bool) -> RunSpec:
    oracles = ("detect", "masks", "depth", "cameras") if truth else ("cameras",)
    profile = "none" if truth else "embedded"
    return run_spec(
        [str(scenes / "videos" / f"scene-{seed}.mp4")],
        phrases,
        flags=ModelFlags(profile=profile, scenes=str(scenes), oracles=oracles),
        sampling=Sampling(fps=None),
    )


def _print_scores(rows: tuple[dataset_scores.Row, ...], *, seed: int) -> None:
    held = "never seen in training" if seed in HELD_OUT_SEEDS else "perhaps seen in training"
    print(f"\nagainst the exact truth of scene {seed}, {held} (one clip: no intervals)\n")
    print(dataset_scores.scores_as_text(rows))


def _say(text: str) -> None:
    print(text, file=sys.stderr)
