"""The times of all pictures of a film, in the order in which a player shows them.

Tools that number pictures count what they decode; a clip's frames are known by their `pts`. The
film is decoded to its end for it, since its header's rate says nothing of a variable one.
"""

from __future__ import annotations

from massannot.errors import BadVideo
from massannot.inputs.span import VideoSource
from massannot.video.header import open_container, video_stream
from massannot.video.reader import local_copy
from massannot.video.shown_frames import ShownFrames


def film_times(source: VideoSource, *, folder: str | None) -> list[int]:
    """The pts of every picture that is shown; its index is its number. Raises VideoNotFound,
    NotAVideo, and BadVideo for a film none of whose pictures can be shown. `folder`: the one from
    which a relative path counts."""
    with local_copy(source, folder) as local, open_container(local.uri) as container:
        stream = video_stream(local.uri, container)
        shown = ShownFrames(container, stream, beat=lambda: None)
        times = [int(frame.pts) for frame in shown]
        if not times:
            raise BadVideo(f"{source.uri}: {shown.why_nothing}")
        return times
