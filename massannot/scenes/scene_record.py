"""SceneRecord: the JSON file beside a rendered clip, enough to make the very same scene again.

A `SceneLibrary` is the folder that `massannot scenes render` wrote. It finds scenes by video id, so
the bytes of a rendered clip are enough to ask what is true in it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from massannot.counts import counted
from massannot.errors import ModelFailed, UsageError
from massannot.scenes.world import SCENE_VERSION, Scene, SceneOptions, make_scene
from massannot.storage.json_text import parsed

_KEPT = 4


@dataclass(frozen=True)
class SceneRecord:
    """One rendered clip: a JSON file in OUT/scenes."""

    seed: int
    options: SceneOptions
    version: int
    video: str
    """Path of the clip, relative to OUT."""
    video_id: str
    description: str

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, path: Path) -> SceneRecord:
        """Read back. Raises UsageError for a file that is not one, or of another scene version."""
        try:
            content = parsed(path.read_text())
            record = cls(**{**content, "options": SceneOptions(**content["options"])})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UsageError(
                f"{path}: expected a scene as `massannot scenes render` writes it: {error}"
            ) from error
        if record.version != SCENE_VERSION:
            raise UsageError(
                f"{path}: found scene version {record.version}, expected {SCENE_VERSION}: other "
                "versions look and move differently; render the scenes again"
            )
        return record

    def make(self) -> Scene:
        return make_scene(self.seed, self.options)


class SceneLibrary:
    """The scenes of one folder, by video id; the last few are kept."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self._made: dict[str, Scene] = {}

    @cached_property
    def records(self) -> dict[str, SceneRecord]:
        """By video id. Raises UsageError when the folder holds no scenes."""
        records = [SceneRecord.from_json(p) for p in sorted(self.folder.glob("scenes/*.json"))]
        if not records:
            raise UsageError(f"{self.folder} holds no scenes/*.json; {self._way_out()}")
        return {record.video_id: record for record in records}

    def _way_out(self) -> str:
        above = self.folder.resolve().parent
        if any(above.glob("scenes/*.json")):
            return f"give the folder above it, {above}"
        return "expected a folder that `massannot scenes render FOLDER` has written"

    def scene(self, video_id: str) -> Scene:
        """The scene that a video shows. Raises ModelFailed for a video of another folder."""
        if video_id not in self.records:
            raise ModelFailed(
                f"video {video_id} is not among {counted(len(self.records), 'scene')} of "
                f"{self.folder}; an oracle knows rendered clips only"
            )
        if video_id not in self._made:
            while len(self._made) >= _KEPT:
                self._made.pop(next(iter(self._made)))
            self._made[video_id] = self.records[video_id].make()
        return self._made[video_id]
