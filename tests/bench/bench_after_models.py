"""What an annotation costs beside its models: CPU-ms a frame of every stage without one, on a
rendered clip of 1280x720 and five things, the truth answering for the models.

    python -m tests.bench.bench_after_models [N_FRAMES]
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from massannot.clip import Clip, Phrase
from massannot.inputs.span import Span, VideoSource
from massannot.recipes.model_flags import ModelFlags, run_spec
from massannot.recipes.models import NEEDED
from massannot.scenes.world import SceneOptions, make_scene
from massannot.scenes.write import write_scenes
from massannot.video.reader import read_clips
from massannot.video.sampling import Sampling

N_THINGS = 5
N_RUNS = 3
FIRST_SEED = 905_000
MODELS = ("detect_phrases", "propagate_masks", "track_points", "estimate_depth")


def main(n_frames: int) -> None:
    options = SceneOptions(width=1280, height=720, n_frames=n_frames)
    seed = FIRST_SEED
    while len(make_scene(seed, options).entities) != N_THINGS:
        seed += 1
    cpu_s: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        (record,) = write_scenes(Path(folder), seeds=[seed], options=options)
        flags = ModelFlags(profile="none", scenes=folder, oracles=NEEDED)
        sampling = Sampling(fps=None)
        pipeline = run_spec(flags=flags, sampling=sampling).pipeline()
        pipeline.setup(device="cpu")
        phrases = tuple(Phrase(name, "prompt") for name in make_scene(seed, options).phrases())
        source = VideoSource(str(Path(folder) / record.video), spans=(Span(phrases=phrases),))
        clip = next(read_clips(source, sampling=sampling))
        assert isinstance(clip, Clip)
        for stage in pipeline.stages:
            runs = []
            for _ in range(1 if stage.name in MODELS else N_RUNS):
                started = time.process_time()
                after = stage.process(clip)
                runs.append(time.process_time() - started)
            cpu_s[stage.name] = min(runs)
            clip = after
    print("| stage | CPU-ms a frame |")
    print("|---|---|")
    rest = {name: s for name, s in cpu_s.items() if name not in MODELS}
    for name, seconds in sorted(rest.items(), key=lambda item: -item[1]):
        print(f"| {name} | {1e3 * seconds / n_frames:.2f} |")
    print(f"| all without a model | {1e3 * sum(rest.values()) / n_frames:.2f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 48)
