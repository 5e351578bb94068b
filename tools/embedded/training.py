"""The loop that every embedded model is trained by: steps, schedule, curve, checkpoints.

The learning rate rises, stays, and falls to nothing over the last `cooldown` steps, so a run may be
resumed with more steps as long as it has not begun to fall. A stop (by the clock, or SIGTERM) saves
weights, optimizer and averaged weights first.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class Schedule:
    """The schedule, in steps; `stop_after_s` is the only clock, and it only ever stops."""

    steps: int
    cooldown: int
    lr: float
    warmup: int = 100
    weight_decay: float = 1e-2
    clip: float = 1.0
    log_every: int = 50
    validate_every: int = 500
    average: float = 0.993
    """Decay, per step, of the averaged weights, which are what is validated and exported."""
    stop_after_s: float = 1e9

    def rate(self, step: int, begin: int = 0) -> float:
        """At `step`, the optimizer's averages having begun at `begin`."""
        rise = min(1.0, (step - begin + 1) / self.warmup)
        fall = min(1.0, max(0.01, (self.steps - step) / max(self.cooldown, 1)))
        return self.lr * rise * fall


def train(
    net: torch.nn.Module,
    loss_of: Callable[[int], tuple[torch.Tensor, dict[str, float]]],
    validate: Callable[[], dict[str, float]],
    *,
    schedule: Schedule,
    run: Path,
    first_step: int = 0,
    rate_factor: Callable[[str], float] = lambda name: 1.0,
) -> bool:
    """Train `net` in place, resuming from `run` if it holds a checkpoint, else counting from
    `first_step`. True: all steps done.

    `loss_of(step)` draws a batch (seeded by the step, so that a resumed run draws others) and
    returns the loss and its parts.
    """
    run.mkdir(parents=True, exist_ok=True)
    optimizer = _optimizer(net, schedule, rate_factor)
    step, begin = _resume(net, optimizer, run, first_step)
    average = _average_so_far(net, run)
    stopped = _on_sigterm()
    began, seen, sums = time.monotonic(), time.process_time(), {}
    minutes = _minutes_so_far(run)
    while step < schedule.steps:
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate(step, begin) * group["factor"]
        loss, parts = loss_of(step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(net.parameters(), schedule.clip)
        if torch.isfinite(norm):  # one bad batch must not end the run
            optimizer.step()
        step += 1
        _follow(average, net, min(schedule.average, step / (step + 10)))
        for name, value in {"loss": loss.item(), "norm": norm.item(), **parts}.items():
            sums.setdefault(name, []).append(value)
        out_of_time = time.monotonic() - began > schedule.stop_after_s or stopped()
        if step % schedule.log_every == 0 or step in (1, 5):
            means = {k: round(sum(v) / len(v), 4) for k, v in sums.items()}
            spent = minutes + (time.process_time() - seen) / 60
            _write(run, {"step": step, "cpu_min": round(spent, 2), **means})
            sums = {}
        if step % schedule.validate_every == 0 or step == schedule.steps or out_of_time:
            spent = minutes + (time.process_time() - seen) / 60
            save(net, average, optimizer, step, spent, run, begin=begin)
            own = {name: value.clone() for name, value in net.state_dict().items()}
            net.load_state_dict(average)
            net.eval()
            with torch.no_grad():
                scores = validate()
            net.train()
            net.load_state_dict(own)
            _write(run, {"step": step, "cpu_min": round(spent, 2), "validation": scores})
        if out_of_time:
            return False
    return True


def save(
    net: torch.nn.Module,
    average: dict[str, torch.Tensor],
    optimizer: Any,
    step: int,
    minutes: float,
    run: Path,
    *,
    begin: int = 0,
) -> None:
    """Whole or not at all. `begin`: the step at which the optimizer's averages began."""
    part = run / "checkpoint.part"
    state = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
    torch.save({**state, "begin": begin, "average": average, "cpu_min": minutes}, part)
    part.rename(run / "checkpoint.pt")


def _optimizer(
    net: torch.nn.Module, schedule: Schedule, rate_factor: Callable[[str], float]
) -> torch.optim.Optimizer:
    """AdamW without decay on vectors; one group per rate factor and kind."""
    members: dict[tuple[float, bool], list[torch.nn.Parameter]] = {}
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            key = rate_factor(name), parameter.ndim > 1
            members.setdefault(key, []).append(parameter)
    groups = [
        {
            "params": parameters,
            "weight_decay": schedule.weight_decay if is_matrix else 0.0,
            "factor": factor,
        }
        for (factor, is_matrix), parameters in sorted(
            members.items(), key=lambda m: (-m[0][0], not m[0][1])
        )
    ]
    return torch.optim.AdamW(groups, lr=schedule.lr, betas=(0.9, 0.98), foreach=True)


def _average_so_far(net: torch.nn.Module, run: Path) -> dict[str, torch.Tensor]:
    path = run / "checkpoint.pt"
    held = torch.load(path, map_location="cpu", weights_only=True) if path.is_file() else {}
    start: dict[str, torch.Tensor] = held.get("average") or net.state_dict()
    now = net.state_dict()
    return {name: value.detach().clone().to(now[name].device) for name, value in start.items()}


@torch.no_grad()
def _follow(average: dict[str, torch.Tensor], net: torch.nn.Module, decay: float) -> None:
    now = net.state_dict()
    floats = [name for name, value in now.items() if value.is_floating_point()]
    torch._foreach_lerp_([average[n] for n in floats], [now[n] for n in floats], 1 - decay)


def _resume(
    net: torch.nn.Module, optimizer: torch.optim.Optimizer, run: Path, first_step: int
) -> tuple[int, int]:
    """The step to go on with and that at which the optimizer's averages began."""
    path = run / "checkpoint.pt"
    if not path.is_file():
        return first_step, first_step
    held = torch.load(path, map_location="cpu", weights_only=True)
    net.load_state_dict(held["net"])
    try:
        optimizer.load_state_dict(held["optimizer"])
    except ValueError:  # other groups than before: the averages start anew
        print(f"{run}: the optimizer's state does not fit and is left behind", flush=True)
        return int(held["step"]), int(held["step"])
    return int(held["step"]), int(held.get("begin", 0))


def _minutes_so_far(run: Path) -> float:
    path = run / "checkpoint.pt"
    if not path.is_file():
        return 0.0
    return float(torch.load(path, map_location="cpu", weights_only=True)["cpu_min"])


def _on_sigterm() -> Callable[[], bool]:
    requests: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: requests.append(number))
    return lambda: bool(requests)


def _write(run: Path, row: dict[str, Any]) -> None:
    line = json.dumps(row)
    print(line, flush=True)
    with (run / "curve.jsonl").open("a") as file:
        file.write(line + "\n")


def curve(run: Path) -> list[dict[str, float]]:
    """Every validation of a run, with its step."""
    rows = [json.loads(line) for line in (run / "curve.jsonl").read_text().splitlines()]
    return [{"step": row["step"], **row["validation"]} for row in rows if "validation" in row]
