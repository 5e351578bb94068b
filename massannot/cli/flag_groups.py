"""`takes`: a command takes a group of flags, a dataclass, as one value.

`@takes(recipe=RecipeOptions)` shows typer a flag for each field of RecipeOptions in the place of
the command's parameter `recipe`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any, get_type_hints

Command = Callable[..., None]


def takes(**groups: type) -> Callable[[Command], Command]:
    """Decorates a command. The fields' annotations are typer's; every field has a default."""

    def decorated(command: Command) -> Command:
        flags = {name: _flags(group) for name, group in groups.items()}
        shown: list[inspect.Parameter] = []
        for own in inspect.signature(command, eval_str=True).parameters.values():
            shown += flags.get(own.name, [own.replace(kind=inspect.Parameter.KEYWORD_ONLY)])

        @functools.wraps(command)
        def with_flags(**given: Any) -> None:
            values = {
                name: group(**{flag.name: given.pop(flag.name) for flag in flags[name]})
                for name, group in groups.items()
            }
            command(**values, **given)

        with_flags.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
        with_flags.__annotations__ = {flag.name: flag.annotation for flag in shown}
        return with_flags

    return decorated


def _flags(group: type) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            option.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=[] if option.default is MISSING else option.default,
            annotation=hints[option.name],
        )
        for option in fields(group)
    ]
