"""`massannot review`: a sample of a run's clips, looked at in the browser, each decision a line on
the disk."""

from __future__ import annotations

import getpass
import re
from collections.abc import Sequence
from pathlib import Path

from massannot.dataset.layout import Layout
from massannot.dataset.reading import Dataset
from massannot.dataset.reviews_of_run import ReviewFile
from massannot.errors import UsageError
from massannot.jobs.heading import MANY_CLIPS, heading_of
from massannot.jobs.view import announce, need_server, served_dataset
from massannot.questions.ask.asked_about import AskedDataset, with_its_clips
from massannot.viewers import server
from massannot.viewers.review_routes import QuestionDesk, ReviewDesk
from massannot.viewers.review_sample import draw_sample


def review(
    out: Path,
    *,
    sample: int,
    by: Sequence[str],
    seed: int,
    reviewer: str | None = None,
    port: int = 0,
    open_browser: bool = True,
) -> None:
    """Serve until interrupted. `out`: a run's folder, or what `questions ask` wrote. Raises what
    `view` raises, and UsageError for another folder: decisions lie in `_run/` until `publish` takes
    them along."""
    need_server()
    desk = desk_of(with_its_clips(out), sample=sample, by=by, seed=seed, reviewer=reviewer)
    heading = heading_of(desk.served.dataset, most_clips=MANY_CLIPS)
    token = server.new_token()

    def make(bound: int) -> server.App:
        return server.app(desk.served, heading, token=token, port=bound, desk=desk)

    server.serve(desk.served, make, port=port, ready=announce(token, open_browser))


def desk_of(
    dataset: Dataset, *, sample: int, by: Sequence[str], seed: int, reviewer: str | None
) -> ReviewDesk:
    """What the server needs to hear one reviewer's decisions."""
    if isinstance(dataset, AskedDataset):
        return _question_desk(dataset, sample=sample, by=by, seed=seed, reviewer=reviewer)
    layout = dataset.layout
    refuse_others(layout)
    served = served_dataset(dataset)
    file = ReviewFile(layout, reviewer or own_name())
    return ReviewDesk(served, draw_sample(served.index, layout, n=sample, by=by, seed=seed), file)


def _question_desk(
    dataset: AskedDataset, *, sample: int, by: Sequence[str], seed: int, reviewer: str | None
) -> QuestionDesk:
    """On the pages of the clips asked about; the decisions lie beside the questions."""
    layout = dataset.reviewed_in
    served = served_dataset(dataset.about, layout.out)
    drawn = draw_sample(
        served.index, layout, n=sample, by=by, seed=seed, among=served.questions.asked_clips
    )
    return QuestionDesk(served, drawn, ReviewFile(layout, reviewer or own_name()))


def refuse_others(layout: Layout) -> None:
    """Raises UsageError for what is no run's folder on this machine."""
    if layout.in_bucket or not layout.run.is_dir():
        raise UsageError(
            f"{layout.out}: expected the local output folder of a run, whose decisions `publish` "
            "takes along; a published dataset is not changed any more"
        )


def own_name() -> str:
    """The user's name on this machine, as far as a file can have it."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = ""
    return re.sub(r"[^A-Za-z0-9._-]", "-", name).strip("-.") or "reviewer"
