"""Train one embedded model on rendered scenes: `train_embedded.py MODEL --data DIR --run DIR`.

Not part of the installed tool. A run is resumed by giving the same folder again; the curve lies in
`curve.jsonl`, the state in `checkpoint.pt`. `export_embedded.py` turns it into shipped weights.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent.parent))

import importlib

import numpy as np
import torch

from tools.embedded.pool import Pool
from tools.embedded.training import Schedule, train

MODELS = ("depth", "segmentation", "detection", "tracking_features", "tracking")
LOOK_AGAIN_EVERY = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument(
        "--validation",
        type=Path,
        required=True,
        help="rendered scenes: a file, or a folder of files",
    )
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument(
        "--start-from", type=Path, help="shipped weights (a folder) to begin a new run with"
    )
    parser.add_argument(
        "--start-memory",
        action="store_true",
        help="segmentation: a new run draws the memory anew, aligned on the picture part",
    )
    parser.add_argument(
        "--features", type=Path, help="tracking: a run of tracking_features, whose encoder is used"
    )
    parser.add_argument("--first-step", type=int, default=0, help="what a new run counts from")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--cooldown", type=int, required=True)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--lr", type=float, default=5e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--validate-every", type=int, default=500)
    parser.add_argument("--stop-after", type=float, default=1e9, help="seconds; saves first")
    args = parser.parse_args()
    if (args.features is None) is (args.model == "tracking"):
        parser.error("--features: tracking needs it, no other model takes it")
    warnings.simplefilter("ignore")
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    module = importlib.import_module(f"tools.embedded.{args.model}")
    net = module.network()
    if args.start_from:
        net = type(net).from_pretrained(args.start_from, dtype=torch.float32)
    net.to(args.device).train()
    print(f"{args.model}: {sum(p.numel() for p in net.parameters()) / 1e6:.2f} M parameters")
    pool_of = getattr(module, "pool_of", Pool)
    pool, held = pool_of(args.data).look(), pool_of(args.data)
    for path in [args.validation] if args.validation.is_file() else args.validation.glob("*.npz"):
        held.add_file(path)
    print(pool, flush=True)
    if args.start_memory:
        module.start_again(net, pool)
    if args.features:
        module.start(net, args.features, pool, held)

    def loss_of(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        if step % LOOK_AGAIN_EVERY == 0:
            pool.look()
        rng = np.random.default_rng([args.seed, step])
        drawn = module.batch(pool, rng, args.batch, step)
        placed = [x.to(args.device) if hasattr(x, "to") else x for x in drawn]
        return module.loss(net, *placed)

    schedule = Schedule(
        steps=args.steps,
        cooldown=args.cooldown,
        lr=args.lr,
        validate_every=args.validate_every,
        stop_after_s=args.stop_after,
    )
    done = train(
        net,
        loss_of,
        lambda: module.validate(net, held),
        schedule=schedule,
        run=args.run,
        first_step=args.first_step,
        rate_factor=getattr(module, "rate_factor", lambda name: 1.0),
    )
    print("done" if done else "stopped", flush=True)


if __name__ == "__main__":
    main()
