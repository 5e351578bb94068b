"""transformers in a worker: without what only training, sharding and compiling need.

Importing a network's class of transformers 5.23 imports torch's compiler, for marks on functions
that it must not compile, torch.distributed.tensor, scipy, for a loss, and, where accelerate is
installed, boto3, for training in Amazon's cloud; building the network without memory, as
from_pretrained does, imports sympy. That is 120 MB and 3 CPU-seconds of which no forward pass uses
anything. `infer_only` says that this process is a worker; in others, a notebook that may train
among them, nothing is left out.

Unusual: as long as `inferring` runs, these look as if they were not installed, the compiler is one
whose marks do nothing, and a network is built with memory, which costs none before it is written.
`torch.compile` imports the true compiler when it is called.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

LOG = logging.getLogger(__name__)

Loaded = TypeVar("Loaded")
_infers_only = False


def infer_only() -> None:
    """From now on this process runs networks and trains none."""
    global _infers_only
    _infers_only = True


def transformers_class(name: str) -> Any:
    """The class `name` of transformers."""
    return inferring(lambda: getattr(importlib.import_module("transformers"), name))


def inferring(load: Callable[[], Loaded]) -> Loaded:
    """What `load` gives, which imports or builds networks. Where a version of transformers or torch
    wants more of the others than these do, `load` is called again with all of them."""
    if not _infers_only:
        return load()
    try:
        _check_plain_truths()
        with _training_absent(), _built_with_memory():
            return load()
    except (ImportError, AttributeError):
        LOG.warning("transformers gets all the packages that it can use", exc_info=True)
        return load()


@cache
def _check_plain_truths() -> None:
    """Let torch's checks of what is true or false not import sympy to see that it is no symbol;
    Grounding DINO's network has such checks."""
    import torch

    original = torch._check_with

    def check(error: type[Exception], condition: object, message: Callable[[], str]) -> None:
        if condition is not True:
            original(error, condition, message)

    torch._check_with = check


@contextmanager
def _training_absent() -> Iterator[None]:
    import torch.distributed

    compiler = _MarksOnly(Path(torch.__file__).parent / "_dynamo")
    hidden: dict[str, Any] = {"scipy": None, "boto3": None, "torch._dynamo": compiler}
    hidden = {name: module for name, module in hidden.items() if name not in sys.modules}
    is_available = torch.distributed.is_available
    sys.modules.update(hidden)
    torch.distributed.is_available = lambda: False
    try:
        yield
    finally:
        torch.distributed.is_available = is_available
        for name in hidden:
            del sys.modules[name]


class _MarksOnly(ModuleType):
    """torch._dynamo whose functions, all taken for decorators, change nothing. Its submodules are
    the true ones."""

    def __init__(self, folder: Path):
        super().__init__("torch._dynamo")
        self.__path__ = [str(folder)]

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda function=None, *_, **__: function or (lambda marked: marked)


@contextmanager
def _built_with_memory() -> Iterator[None]:
    """from_pretrained builds networks on the processor, drawing no numbers that the weights would
    replace, instead of on torch's device without memory."""
    import torch
    from transformers import initialization
    from transformers.modeling_utils import PreTrainedModel

    original = vars(PreTrainedModel)["get_init_context"]
    contexts = PreTrainedModel.get_init_context

    def with_memory(*options: Any) -> list[Any]:
        kept = [context for context in contexts(*options) if not isinstance(context, torch.device)]
        return [*kept, initialization.no_init_weights()]

    PreTrainedModel.get_init_context = with_memory
    try:
        yield
    finally:
        PreTrainedModel.get_init_context = original
