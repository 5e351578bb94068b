"""What a worker leaves out of transformers changes nothing of its networks, nor does pandas of
Arrow's tables. In a process of its own, because this one has imported everything."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
import torch

from massannot.models.networks import load_network
from massannot.models.transformers_import import infer_only, inferring, transformers_class
from massannot.models.weights import Weights, find
from massannot.storage.arrow_alone import leave_pandas_out

NETWORKS = {
    "grounding_dino": "GroundingDinoForObjectDetection",
    "sam2_video": "Sam2VideoModel",
    "depth_anything": "DepthAnythingForDepthEstimation",
}
NOT_NEEDED = {"scipy", "sympy", "torch._dynamo", "torch.distributed.tensor", "boto3", "pandas"}


@pytest.fixture(scope="module")
def worker() -> dict[str, object]:
    """What `main` says in a process that infers only."""
    done = subprocess.run(
        [sys.executable, __file__], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return said


def test_a_worker_imports_nothing_that_only_training_needs(worker: dict[str, object]) -> None:
    assert worker["not needed"] == []


@pytest.mark.parametrize("folder", NETWORKS)
def test_networks_are_the_same_to_the_bit(worker: dict[str, object], folder: str) -> None:
    assert worker[folder] == digest(folder)


def test_what_was_left_out_can_be_imported_and_compiles_afterwards(
    worker: dict[str, object],
) -> None:
    assert worker["compiled"] == [2.0, 3.0]


def test_a_table_can_still_become_a_data_frame(worker: dict[str, object]) -> None:
    assert worker["data frame"] == [1, 2]


def test_who_needs_what_is_left_out_gets_it(worker: dict[str, object]) -> None:
    assert worker["fallback"] == "scipy"


def digest(folder: str) -> str:
    """Of all parameters and buffers of the embedded network, those not in the file included."""
    net = load_network(
        transformers_class(NETWORKS[folder]), find(Weights(f"embedded/{folder}")), device="cpu"
    )
    sums = hashlib.sha256()
    for name, values in sorted([*net.named_parameters(), *net.named_buffers()]):
        sums.update(name.encode() + values.detach().contiguous().numpy().tobytes())
    return sums.hexdigest()


def main() -> None:
    infer_only()
    leave_pandas_out()
    table = pa.table({"a": [1, 2]})
    said: dict[str, object] = {folder: digest(folder) for folder in NETWORKS}
    said["not needed"] = sorted(NOT_NEEDED & set(sys.modules))
    said["data frame"] = table.to_pandas()["a"].tolist()
    said["fallback"] = inferring(lambda: __import__("scipy").__name__)
    compiled = torch.compile(lambda x: x + 1, backend="eager")
    said["compiled"] = compiled(torch.tensor([1.0, 2.0])).tolist()
    print(json.dumps(said))


if __name__ == "__main__":
    main()
