"""A run that is killed and started again, folder after folder, and what must hold meanwhile."""

import json
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path

from massannot.dataset.commits import damage
from massannot.dataset.layout import Layout
from tests.faults import killing, tiny_run
from tests.faults.tiny_run import data_files, done


def finish(process: subprocess.Popen) -> dict:
    """The summary of a run that ends well."""
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 0, text
    assert text.startswith(b"{"), text
    return json.loads(text)


class Siege:
    """A run that is killed and started again, folder after folder, and what must hold meanwhile."""

    def __init__(
        self,
        videos: Path,
        undisturbed: Path,
        folder: Path,
        *,
        workers: int,
        ray_address: str = "",
    ):
        self.videos, self.undisturbed, self.folder = videos, undisturbed, folder
        self.workers, self.ray_address = workers, ray_address
        self.n_clips = len(list(videos.glob("*.mp4"))) * tiny_run.CLIPS_PER_VIDEO
        self.hits: Counter[str] = Counter()
        self.folders = 0
        self._new_folder()

    def kill(self, phase: str | None, *, whom: str, delay_s: float) -> None:
        """One kill; when the run ends before the moment comes, it is checked and another begun."""
        while True:
            seen = killing.kill_in(
                self._running(), self.layout, self.tally, phase, whom=whom, delay_s=delay_s
            )
            if seen is not None:
                break
            self.end()
        self.hits[seen] += 1
        if whom == "driver":
            self.process.wait()
            self.process = None
            while killing.workers_of(self.layout):  # they notice that it is gone
                time.sleep(0.05)
        self._check_what_is_there()

    def end(self) -> None:
        """Let the run end and compare it with the undisturbed one."""
        summary = finish(self._running())
        self._check_what_is_there()
        assert (summary["planned"], summary["done"]) == (self.n_clips, self.n_clips)
        counts = done(self.tally)
        assert {clip: counts[clip] for clip in self.finished} == self.finished
        assert len(self.finished) == self.n_clips
        assert data_files(self.layout.out) == data_files(self.undisturbed)
        assert list(damage(self.layout)) == []
        assert list(self.layout.staging.iterdir()) == []
        shutil.rmtree(self.layout.out)
        self._new_folder()

    def _check_what_is_there(self) -> None:
        committed = {path.stem for path in self.layout.commits.glob("*.json")}
        assert {path.stem for path in self.layout.data.rglob("*.parquet")} <= committed
        counts = done(self.tally)
        for clip in killing.finished_clips(self.layout):
            self.finished.setdefault(clip, counts[clip])

    def _new_folder(self) -> None:
        self.folders += 1
        self.layout = Layout(self.folder / f"out{self.folders}")
        self.tally = self.folder / f"tally{self.folders}"
        self.finished: dict[str, int] = {}
        self.process: subprocess.Popen | None = None

    def _running(self) -> subprocess.Popen:
        if self.process is None:
            self.process = killing.start(
                self.layout.out,
                self.videos,
                self.tally,
                workers=self.workers,
                ray_address=self.ray_address,
            )
        return self.process
