"""`massannot view`: the page of a dataset from a local server."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path

from massannot.dataset.reading import Dataset, open_dataset
from massannot.errors import NothingToRun
from massannot.jobs.heading import MANY_CLIPS, heading_of
from massannot.jobs.previews import previews, with_preview
from massannot.viewers import server
from massannot.viewers.served_dataset import ServedDataset


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
