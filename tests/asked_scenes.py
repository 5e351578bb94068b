"""Two rendered scenes, annotated by the truth for the questions of manifests: small and exact."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from massannot.dataset.reading import Dataset
from massannot.engine.settings import ExecutorSettings
from massannot.jobs import annotate as job
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.recipes.models import NEEDED
from massannot.scenes.scene_record import SceneLibrary
from massannot.scenes.world import SceneOptions
from massannot.scenes.write import write_scenes
from massannot.video.sampling import Sampling

OPTIONS = SceneOptions(width=96, height=80, n_frames=12, fps=24, n_bodies=2, camera="pan")
SEEDS = (3, 4)


def write_world(folder: Path) -> SceneLibrary:
    """The scenes as films with their truth."""
    write_scenes(folder, seeds=SEEDS, options=OPTIONS)
    return SceneLibrary(folder)


def questions_about(world: SceneLibrary) -> list[dict[str, Any]]:
    """Two questions a scene: one names the first thing, the other asks about all of them."""
    rows = []
    for record in world.records.values():
        names = record.make().phrases()
        common = {"video": record.video, "split": "train", "category": "motion"}
        rows += [
            {
                **common,
                "id": f"one-{record.seed}",
                "question": "Does it move?",
                "answer": "yes",
                "entities": names[:1],
            },
            {
                **common,
                "id": f"all-{record.seed}",
                "question": "Which is faster?",
                "answer": names[-1],
                "entities": names,
                "asked by": "nobody",
            },
        ]
    return rows


def annotate(
    world: SceneLibrary,
    out: Path,
    manifests: Sequence[Sequence[dict[str, Any]]],
    *,
    max_frames: int = 256,
) -> Dataset:
    """The dataset of the scenes that these manifests, written beside the films, ask about; clips
    are cut after so many frames."""
    paths = []
    for number, rows in enumerate(manifests):
        paths.append(world.folder / f"{out.name}-{number}.jsonl")
        paths[-1].write_text("\n".join(map(json.dumps, rows)))
    done = job.annotate(
        paths,
        out=out,
        spec=run_spec(
            flags=ModelFlags(profile="none", scenes=str(world.folder), oracles=NEEDED),
            sampling=Sampling(fps=None, max_frames=max_frames),
            depth_maps=True,
        ),
        settings=ExecutorSettings(device="cpu", workers=0),
    )
    assert done.dataset is not None
    return done.dataset
