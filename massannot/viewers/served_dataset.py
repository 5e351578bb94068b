"""A dataset as the server reads it: the index in memory, everything else when it is asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from massannot.dataset import record as run_record
from massannot.dataset.frames_again import clips_again
from massannot.dataset.reading import ClipView, Dataset
from massannot.storage.path import resolved
from massannot.storage.store import scheme_of
from massannot.viewers.clip_data import Json, ShownFilm, clip_data
from massannot.viewers.clip_drawing import GetTable
from massannot.viewers.clip_index import failed_cards, index_data
from massannot.viewers.clip_questions import ClipQuestions
from massannot.viewers.film import paths, write_plain
from massannot.viewers.indexed_dataset import IndexedDataset
from massannot.viewers.video_story import video_story

BROWSERS_PLAY = {
    "h264": ("yuv420p", "yuvj420p"), "vp8": ("yuv420p",), "vp9": ("yuv420p",), "av1": ("yuv420p",)
}  # fmt: skip
"""Codecs and pixel formats that every present browser plays."""
CONTAINERS = (".mp4", ".m4v", ".mov", ".webm")


class ServedDataset(IndexedDataset):
    """`tables_of` adds to a clip's tables what the run keeps beside them, such as previews of
    depth. `asked`: a folder of questions about the dataset."""

    def __init__(
        self,
        dataset: Dataset,
        *,
        tables_of: Callable[[ClipView], GetTable],
        asked: Path | None = None,
    ) -> None:
        super().__init__(dataset)
        self.questions = ClipQuestions(dataset, asked)
        self.layout = dataset.layout
        self._tables_of = tables_of
        self._drawing = threading.Lock()

    @cached_property
    def failed(self) -> list[Json]:
        return failed_cards(self.failures)

    def index_page(self, title: str, lines: Sequence[str], notes: Sequence[str]) -> Json:
        data = index_data(self.index, self.failures, title=title, lines=lines, notes=notes)
        return data | {"server": True}

    def has(self, clip_id: str) -> bool:
        return self.index.row_of(clip_id) is not None

    def clip_page(self, clip_id: str) -> Json:
        table = self._tables_of(self.dataset.clip(clip_id))
        whole = self._whole_video(table)
        film = ShownFilm(f"../film/{clip_id}", None if whole is None else 0.0)
        return clip_data(
            table,
            film=film,
            index_link="../",
            depth_src=f"../depth/{clip_id}.jpg",
            questions=self.questions.of(clip_id),
            story=video_story(self.dataset, clip_id, link=lambda other: f"../clip/{other}"),
        )

    def depth_maps(self, clip_id: str) -> pa.Table:
        return self._tables_of(self.dataset.clip(clip_id))("depth_maps")

    def film(self, clip_id: str) -> Path | None:
        """A file that a browser plays: the plain film where it is drawn, else the video itself,
        else a film drawn now; None: the video is gone."""
        table = self._tables_of(self.dataset.clip(clip_id))
        if (whole := self._whole_video(table)) is not None:
            return whole
        plain = paths(self.layout.local / "films", table).plain
        with self._drawing:
            if plain.is_file():
                return plain
            uri = table("clips")["uri"][0].as_py()
            for clip in clips_again(self.layout, {clip_id}, uris={uri}):
                return write_plain(plain, table, iter(clip.frames.pixels_THWC))
        return None

    def _whole_video(self, table: GetTable) -> Path | None:
        """The video, where it is a local file whose own time a browser counts as we do and there is
        no film of the clip."""
        row = table("clips").to_pylist()[0]
        if paths(self.layout.local / "films", table).plain.is_file() or scheme_of(row["uri"]):
            return None
        video = self._videos.get(row["uri"])
        path = Path(resolved(row["uri"], folder=self._folder))
        if video is None or path.suffix.lower() not in CONTAINERS or not path.is_file():
            return None
        codec, pixels, first_pts = video
        return path if pixels in BROWSERS_PLAY.get(codec, ()) and first_pts == 0 else None

    @cached_property
    def _videos(self) -> dict[str, tuple[str, str | None, int]]:
        wanted = ("uri", "codec", "pixel_format", "first_pts")
        columns = [c.to_pylist() for c in self.columns("videos", wanted).columns]
        return {uri: rest for uri, *rest in zip(*columns, strict=True)}  # type: ignore[misc]

    @cached_property
    def _folder(self) -> str:
        record = run_record.read(self.layout)
        folder = None if record is None else record.spec.get("folder")
        return str(folder or Path.cwd())
