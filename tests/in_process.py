"""A command of massannot in this very process: a second and more of imports is not spent on it.

That the program starts on its own is shown by tests/end_to_end/test_wheel.py.
"""

from __future__ import annotations

import contextlib
import io
import shlex
import sys
import warnings
from pathlib import Path

from massannot import cli


def run_massannot(command: str, folder: Path, *, code: int = 0) -> str:
    """stdout of `massannot COMMAND` given in `folder`, or stderr of one that is to end with another
    `code` than 0. Raises AssertionError, with what was said, for any other end."""
    out, err = io.StringIO(), io.StringIO()
    arguments = sys.argv
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.chdir(folder))
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("default")  # the suite makes errors of ours, a user's shell does not
        sys.argv = ["massannot", *shlex.split(command)]
        try:
            cli.main()
            found = 0
        except SystemExit as end:
            found = int(end.code or 0)
        finally:
            sys.argv = arguments
    assert found == code, f"massannot {command}: {found}\n{out.getvalue()}\n{err.getvalue()}"
    return err.getvalue() if code else out.getvalue()
