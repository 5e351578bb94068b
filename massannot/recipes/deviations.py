"""How far a run's lower precision moves its answers, for the run's record.

Each network that a spec asks for in bfloat16 or float16 answers once in it and once in float32, on
a small rendered clip (models/weights_trial.py). What came out is kept on this machine and stands
for later runs with the same weights, code, libraries and processor or GPU.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from massannot.dataset.layout import cache_folder
from massannot.dataset.record import Deviation, this_start
from massannot.errors import MassannotError
from massannot.models.profiles import Job
from massannot.models.runtime import device_name
from massannot.recipes import models
from massannot.recipes.digests import code_digests, digest_of_weights
from massannot.recipes.spec import RunSpec
from massannot.stages._stage import with_option
from massannot.storage import durable

LOG = logging.getLogger(__name__)

NARROW = ("bf16", "fp16", "bfloat16", "float16")


def narrow_jobs(spec: RunSpec) -> dict[Job, str]:
    """The jobs whose networks compute in lower precision, with its name."""
    return {
        cast(Job, job): value
        for option, value in spec.options.items()
        for job, _, name in [option.partition(".")]
        if name == "dtype" and value in NARROW and job in spec.models
    }


def deviations(spec: RunSpec, device: str) -> tuple[Deviation, ...]:
    """Of each job of `narrow_jobs`, loaded onto `device` for that; a network that cannot answer the
    clip is left out: what it lacks, the run itself says."""
    return tuple(_measured(spec, device))


def _measured(spec: RunSpec, device: str) -> Iterator[Deviation]:
    from massannot.models import weights_trial  # it renders: a driver need not know how

    for job, dtype in narrow_jobs(spec).items():
        key = _key(spec, job, device)
        found = _read(key)
        if found is None:
            LOG.info("how far %s moves the answers of %s: beside float32", dtype, job)
            narrow = models.model(spec, job)
            exact = with_option(narrow, "dtype", "float32", where=job)
            try:
                found = weights_trial.moved(
                    narrow, exact, models.job_of_profiles(job), device=device
                )
            except (MassannotError, RuntimeError, ValueError):
                continue
            _keep(key, found)
        for measure, value in found.items():
            yield Deviation(job, dtype, device_name(device), measure, value)


def _key(spec: RunSpec, job: Job, device: str) -> str:
    """Of everything that decides what comes out."""
    options = {name: value for name, value in spec.options.items() if name.startswith(f"{job}.")}
    weights = models.weights_of(spec.models[job], job)
    deciding = [
        "" if weights is None else digest_of_weights(weights),
        options,
        device_name(device),
        this_start().versions,
        code_digests()["models"],
        code_digests()["scenes"],
    ]
    return hashlib.blake2b(json.dumps(deciding).encode(), digest_size=12).hexdigest()


def _file(key: str) -> Path:
    """Raises RuntimeError for a user without a home."""
    return cache_folder() / "deviations" / f"{key}.json"


def _read(key: str) -> Mapping[str, float] | None:
    try:
        values: Any = json.loads(_file(key).read_bytes())
    except (OSError, ValueError, RuntimeError):  # nothing yet, or what a full disk left
        return None
    return values if isinstance(values, dict) else None


def _keep(key: str, found: Mapping[str, float]) -> None:
    try:
        kept = _file(key)
        kept.parent.mkdir(parents=True, exist_ok=True)
        durable.write_over(kept, json.dumps(found).encode())
    except (OSError, RuntimeError):  # who has no home, or may not write there, measures each time
        return
