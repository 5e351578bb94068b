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
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        sys.exit(_complain(_misplaced(error), 2))
    except OSError as error:
        if error.errno in _NO_PLACE:
            sys.exit(_complain(_misplaced(error), 2))
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            sys.exit(_complain(_full(error), 4))
        raise


def _complain(error: Exception, code: int) -> int:
    from massannot.inputs.text import printable

    print(f"massannot: {printable(str(error))}", file=sys.stderr)
    return code


def _misplaced(error: OSError) -> UsageError:
    """What the system refuses about a path of the user's, or about one below it."""
    path = Path(str(error.filename))
    if not isinstance(error, FileExistsError | NotADirectoryError):
        return UsageError(
            f"{path}: {error.strerror}; expected a place that may be read and written; choose "
            "another folder, or change who may use it"
        )
    file = next((p for p in (path, *path.parents) if p.is_file()), path)
    return UsageError(f"{file}: found a file, expected a folder; choose another name")


def _full(error: OSError) -> NothingToRun:
    where = f"{error.filename}: " if error.filename else ""
    return NothingToRun(
        f"{where}no space left on the disk; what is finished is kept: make room and give the same "
        "command again"
    )
