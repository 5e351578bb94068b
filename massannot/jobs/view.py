"""`massannot view`: the page of a dataset from a local server."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq

from massannot.dataset.grounds import grounds_of
from massannot.dataset.reading import Dataset, open_dataset
from massannot.dataset.record import read
from massannot.errors import NothingToRun
from massannot.jobs.previews import previews, with_preview
from massannot.viewers import server
from massannot.viewers.report import Heading
from massannot.viewers.served_dataset import ServedDataset

MANY_CLIPS = 20_000
"""Beyond that the server does not read positions for the grounds of intervals, which the card and
`massannot inspect` state too: its first page is to come at once."""


def heading_of(dataset: Dataset, *, most_clips: int | None = None) -> Heading:
    """What stands above the clips: from the run's record and, where there are at most `most_clips`,
    the grounds of intervals."""
    record = read(dataset.layout)
    few = most_clips is None or _n_clips(dataset) <= most_clips
    return Heading(
        title=f"massannot: {dataset.layout.out.name}",
        lines=(
            *(() if record is None else (f"profile {record.profile}",)),
            *(grounds_of(dataset).lines if few else ()),
        ),
        notes=() if record is None else tuple(record.notes),
    )


def view(out: Path, *, asked: Path | None = None, port: int = 0, open_browser: bool = True) -> None:
    """Serve until interrupted. `asked`: what `questions ask` wrote about it. Raises UsageError for
    a folder without a dataset or a taken port, NothingToRun where the server's packages are
    missing."""
    need_server()
    served = served_dataset(open_dataset(out), asked)
    heading = heading_of(served.dataset, most_clips=MANY_CLIPS)
    token = server.new_token()

    def make(bound: int) -> server.App:
        return server.app(served, heading, token=token, port=bound)

    server.serve(served, make, port=port, ready=announce(token, open_browser))


def _n_clips(dataset: Dataset) -> int:
    return sum(pq.read_metadata(path).num_rows for path in dataset.files("clips"))


def served_dataset(dataset: Dataset, asked: Path | None = None) -> ServedDataset:
    folder = previews(dataset.layout)
    return ServedDataset(dataset, tables_of=lambda clip: with_preview(clip, folder), asked=asked)


def announce(token: str, open_browser: bool) -> Callable[[int], None]:
    """Print the address, which is the key, and open it."""

    def ready(port: int) -> None:
        address = f"http://{server.HOST}:{port}/{token}/"
        print(address, flush=True)
        print("Whoever has this address sees the dataset. Ctrl-C ends it.", file=sys.stderr)
        if open_browser:
            webbrowser.open(address)

    return ready


def need_server() -> None:
    try:
        import starlette
        import uvicorn
    except ImportError as error:
        raise NothingToRun(
            f"found no {error.name}, which the server needs: pip install 'massannot[view]'; "
            "`massannot report` writes pages that need no server"
        ) from error
    del starlette, uvicorn
