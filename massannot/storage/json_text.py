"""JSON that comes from outside, and records of our own that something has damaged since.

Python's reader gives up with a RecursionError on lists within lists within lists: for whoever reads
that is one more text that is no JSON.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from massannot.errors import UsageError


def parsed(text: str | bytes) -> Any:
    """The value of a JSON text. Raises ValueError for what is none, or no UTF-8."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("lists or objects too deep within one another") from None


_SIDE_BY_SIDE = re.compile(r"""['"]\s+['"]""")


def parsed_cell(text: str) -> Any:
    """The value of a cell that holds JSON, or what Python and pandas print of lists and mappings.
    Raises ValueError for another; `['a' 'b']`, as numpy prints, is one: Python would join both."""
    try:
        return parsed(text)
    except ValueError as error:
        if _SIDE_BY_SIDE.search(text):
            raise ValueError("texts without a comma between") from error
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):  # too deep
            raise error from None


@contextmanager
def our_own(path: Path, remedy: str) -> Iterator[None]:
    """Raises UsageError where a file that massannot wrote is not what it wrote; whoever reads it
    need not look at every value."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path}: found a damaged or changed file ({type(error).__name__}: {error}), expected "
            f"it as massannot wrote it; {remedy}"
        ) from error
