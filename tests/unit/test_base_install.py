"""What the base install must import without any extra: all but networks and the trainer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

EXTRAS = (
    "torch", "transformers", "safetensors", "cv2", "scipy", "ray", "obstore", "trl",
    "peft", "starlette", "uvicorn", "datasets", "huggingface_hub", "tokenizers",
)  # fmt: skip

IMPORT_ALL = """
import importlib, pkgutil, sys
sys.modules.update(dict.fromkeys(sys.argv[1:]))
import massannot
for module in pkgutil.walk_packages(massannot.__path__, "massannot."):
    try:
        importlib.import_module(module.name)
    except ImportError as error:
        print(module.name)
"""


def test_only_networks_and_the_trainer_need_an_extra_to_be_imported() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *EXTRAS],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    needing = done.stdout.split()
    assert "massannot.models.networks" in needing
    others = [
        name for name in needing if not name.startswith(("massannot.models.", "massannot.rft."))
    ]
    assert others == []
    free = ("protocols", "profiles", "weights", "runtime", "text_prompts", "oracle", "recorded")
    assert [name for name in needing if name.split(".")[2] in free] == []
