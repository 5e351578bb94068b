"""Which answer speaks of a video: by the hash of its bytes, by the user's own id, or by its path.

An answer's name is an id or a path, with or without the ending of a file: `clip-17`, `0001`,
`cam1/0001.mp4`. An id has to be equal. A path is compared from its end: of `cam1/0001` and
`cam2/0001` the first speaks of /data/cam1/0001.mp4, since more of its parts agree.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from massannot.clip import Frames
from massannot.errors import ModelFailed
from massannot.models.protocols import Model

_WHOLE = 1_000_000
"""How well an id fits: better than any number of parts of a path."""


@dataclass(frozen=True)
class VideoName:
    """The names by which an answer may call one video."""

    parts: tuple[str, ...]
    """Of its path, the last without the file's ending."""
    file: str
    """The last part with its ending."""
    own_id: str | None = None
    """The user's own, where it is not the file's name."""
    video_id: str | None = None
    """The hash of its bytes, where they were read."""

    @classmethod
    def of(cls, frames: Frames) -> VideoName:
        if not frames.uri:  # pictures of no file have an id alone
            name = frames.source_id
            return cls((name,), name, video_id=frames.video_id)
        return cls.at(frames.uri, own_id=frames.source_id, video_id=frames.video_id)

    @classmethod
    def at(cls, uri: str, *, own_id: str | None = None, video_id: str | None = None) -> VideoName:
        """Of the file at `uri`, in a bucket too; a tar (TAR#MEMBER) counts as a folder."""
        *folders, file = _parts(uri.replace(".tar#", ".tar/"))
        stem = PurePosixPath(file).stem
        return cls((*folders, stem), file, own_id if own_id != stem else None, video_id)

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(each for each in (self.video_id, self.own_id) if each is not None)

    @property
    def alone(self) -> tuple[str, ...]:
        """Those that another video may have as well: the file's, and the ids."""
        return (self.parts[-1], *self.ids)

    @property
    def tails(self) -> Iterator[str]:
        """`data/cam1/0001`, `cam1/0001`, `0001`."""
        return ("/".join(self.parts[first:]) for first in range(len(self.parts)))

    @property
    def shown(self) -> str:
        """For messages: its own id, and how its file is called."""
        own = [] if self.own_id is None else [repr(self.own_id)]
        return " or ".join([*own, repr(self.parts[-1])])

    def fit(self, name: str) -> int:
        """How well an answer's name fits, 0: not at all; else the number of parts of the path."""
        if name in self.ids:
            return _WHOLE
        *folders, last = _parts(name)
        if last not in (self.parts[-1], self.file):
            return 0
        n_equal = 1
        for mine, other in zip(reversed(self.parts[:-1]), reversed(folders)):
            if mine != other:
                break
            n_equal += 1
        return n_equal


class GoesByName(Model, Protocol):
    """A model whose answers come from a file or a folder."""

    @property
    def names_videos(self) -> bool:
        """Whether it says of which video it speaks, or need not; after `setup`."""

    def answer_for(self, video: VideoName) -> str | None:
        """Which of its answers goes by a name or path of a video that was not read yet; None: none
        does, or what is read decides."""


class NamedAnswers:
    """Answers by their names: each has none, one or several."""

    def __init__(self, names: Sequence[Sequence[str]]):
        self._names = names
        self._by_last: dict[str, list[int]] = defaultdict(list)
        for place, of_answer in enumerate(names):
            for last in {_parts(name)[-1] for name in of_answer}:
                self._by_last[last].append(place)

    def of(self, video: VideoName) -> list[int]:
        """Places of the answers whose names fit best; empty: none fits."""
        last = {video.parts[-1], video.file, *(_parts(each)[-1] for each in video.ids)}
        places = sorted({place for each in last for place in self._by_last.get(each, ())})
        fits = [max(map(video.fit, self._names[place])) for place in places]
        best = max(fits, default=0)
        return [place for place, fit in zip(places, fits) if fit == best > 0]

    def name_for(self, video: VideoName) -> str | None:
        """The name of the only answer that fits a video best; None: none does, or several."""
        places = self.of(video)
        return self._shown(places) if len(places) == 1 else None

    def one_for(self, frames: Frames, pts: Sequence[ArrayLike | None], *, where: str) -> int:
        """The place of the answer for a clip. Where a file has a video's clips one by one, it is
        the one with most of these frames, by the `pts` of each answer.

        Raises ModelFailed where no name fits, and where several do and `pts` do not decide.
        """
        video = VideoName.of(frames)
        places = self.of(video)
        if not places:
            raise ModelFailed(
                f"{where}: no video {video.shown}; it has: {self._shown(range(len(self._names)))}"
            )
        wanted = {*frames.pts.tolist()}
        n_frames = [len(wanted & {*_listed(pts[place])}) for place in places]
        best = [place for place, n in zip(places, n_frames) if n == max(n_frames)]
        if len(best) > 1:
            raise ModelFailed(
                f"{where}: {len(best)} of its videos may be {video.shown} and nothing tells which: "
                f"{self._shown(best)}; expected one, or names with folders, such as "
                f"{'/'.join(video.parts[-2:])!r}"
            )
        return best[0]

    def _shown(self, places: Iterable[int]) -> str:
        """For messages: the first ten names."""
        names = sorted({name for place in places for name in self._names[place]})
        return (", ".join(names[:10]) + (", ..." if len(names) > 10 else "")) or "none"


def named_file(path: str, video: VideoName, *, endings: Sequence[str]) -> Path | None:
    """The entry of a folder that is named like the video: with an ending of `endings`, or a folder;
    None: there is none, or `path` is no folder."""
    root = Path(path)
    for name in (*video.ids[::-1], *video.tails):
        for candidate in (*(root / f"{name}{ending}" for ending in endings), root / name):
            if candidate.exists():
                return candidate
    return None


def file_for(path: str, video: VideoName, *, endings: Sequence[str]) -> Path:
    """`path` itself if it is a file, else its entry. Raises ModelFailed where it has none."""
    found = Path(path) if Path(path).is_file() else named_file(path, video, endings=endings)
    if found is None:
        expected = " or ".join(f"{video.own_id or video.parts[-1]}{ending}" for ending in endings)
        raise ModelFailed(
            f"{path}: nothing for video {video.shown}; expected {expected} or a folder"
        )
    return found


def _listed(pts: ArrayLike | None) -> list[int]:
    return [] if pts is None else np.asarray(pts).tolist()


def _parts(path: str) -> list[str]:
    """Of a path, those behind its last `..`: what lies before is no name. At least one."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        parts = parts[len(parts) - parts[::-1].index("..") :]
    return parts or [path]
