"""ms-swift: the rewards for `--external_plugins` (this file) and `--reward_funcs massannot_accuracy
massannot_format`.

ms-swift makes one object of each class in its registry `orms` and calls it with the completions and
the dataset's columns, which `massannot export ms-swift` names as the rewards do. The registry is in
`swift.rewards` from ms-swift 4 on, in `swift.plugin` before. Without ms-swift, the classes are here
all the same: `REWARDS`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

from massannot.errors import UsageError
from massannot.rft.rewards import names
from massannot.rft.trl_rewards import reward_functions


def reward_class(name: str) -> type:
    """A class that ms-swift can make and call; `name` as `rewards.reward` takes it."""
    (function,) = reward_functions((name,))

    class SwiftReward:
        def __init__(self, args: Any = None, **options: Any) -> None:
            """ms-swift gives its arguments; the rewards have none."""

        def __call__(self, completions: Sequence[str], **columns: Any) -> list[float]:
            """A number for each completion."""
            ids = columns.pop("response_token_ids", None)
            if ids is not None:
                columns["completion_ids"] = ids
            columns.pop("prompts", None)
            return function(prompts=completions, completions=completions, **columns)

    SwiftReward.__name__ = SwiftReward.__qualname__ = f"massannot_{name}"
    return SwiftReward


REWARDS: Mapping[str, type] = {f"massannot_{name}": reward_class(name) for name in names()}


def register(orms: MutableMapping[str, type]) -> None:
    """Add the rewards to ms-swift's registry."""
    orms.update(REWARDS)


def _register_where_swift_is() -> None:
    for module in ("swift.rewards", "swift.plugin"):
        try:
            register(importlib.import_module(module).orms)
        except ModuleNotFoundError as error:
            if error.name not in ("swift", module):
                raise UsageError(
                    f"{module}: found no {error.name}, which ms-swift needs"
                ) from error
        else:
            return


_register_where_swift_is()
