"""The command line: picks a recipe and says where to read and write. The only folder with typer.

Heavy imports happen inside the commands, so that --help answers at once. Results go to stdout,
progress and messages to stderr. Exit codes: 0 done; 1 a bug; 2 usage; 3 too many clips failed;
4 nothing could run; 75 interrupted, the same command continues; 130 second Ctrl-C.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

from massannot.cli import annotate, dataset, export, machine, plan, questions, rft, run, truth, view
from massannot.cli import dataset as cite
from massannot.cli import dataset as sql
from massannot.cli import questions_with_proof as questions_ask
from massannot.cli import view as review
from massannot.cli.app import app
from massannot.errors import MassannotError, NothingToRun, UsageError

__all__ = [  # importing them adds the commands
    "annotate",
    "cite",
    "dataset",
    "export",
    "machine",
    "main",
    "plan",
    "questions",
    "questions_ask",
    "review",
    "rft",
    "run",
    "sql",
    "truth",
    "view",
]

_NO_PLACE = (errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP)
"""Besides permissions: why the system lets nothing be written at a path of the user's."""


def main() -> None:
    """Run the command; turn our own errors into one message and an exit code."""
    try:
        app(prog_name="massannot")
    except UsageError as error:
        sys.exit(_complain(error, 2))
    except NothingToRun as error:
        sys.exit(_complain(error, 4))
    except MassannotError as error:
        sys.exit(_complain(error, 1))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader, `head` for instance, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)  # as a shell counts SIGPIPE, which not every system has
    except OSError as error:
        refusal = _refusal(error)
        if refusal is None:
            raise
        sys.exit(_complain(refusal, 4 if isinstance(refusal, NothingToRun) else 2))


def _complain(error: Exception, code: int) -> int:
    from massannot.inputs.text import printable

    print(f"massannot: {printable(str(error))}", file=sys.stderr)
    return code


def _refusal(error: OSError) -> NothingToRun | UsageError | None:
    """What the user can do about it; None: it is a bug."""
    from massannot.storage import durable

    if durable.is_full(error):
        return durable.no_space_left(error.filename or Path.cwd())
    return _misplaced(error) if _is_misplaced(error) else None


def _is_misplaced(error: OSError) -> bool:
    """Whether the system refuses a path of the user's, rather than that we look for a file that
    somebody took away: then a file can be made where it was looked for."""
    if isinstance(error, FileExistsError | NotADirectoryError | PermissionError):
        return True
    if error.errno in _NO_PLACE:
        return True
    if not error.filename:
        return False
    import tempfile

    path = Path(os.fsdecode(error.filename)).absolute()
    folder = next(p for p in path.parents if p.exists())
    try:
        with tempfile.TemporaryFile(dir=folder):
            return False
    except OSError:
        return True


def _misplaced(error: OSError) -> UsageError:
    """What the system refuses about a path of the user's, or about one below it."""
    path = Path(str(error.filename))
    if path.name.startswith("."):  # a name of ours, which nobody else knows
        path = path.parent
    if not isinstance(error, FileExistsError | NotADirectoryError):
        return UsageError(
            f"{path}: {error.strerror}; expected a place that may be read and written; choose "
            "another folder, or change who may use it"
        )
    file = next((p for p in (path, *path.parents) if p.is_file()), path)
    return UsageError(f"{file}: found a file, expected a folder; choose another name")
