"""Profiles: which weights do which job, where they come from, under which licence, and what they
need.

A profile is a description: naming one imports no torch and touches no network. `build` makes one
adapter, which still loads nothing before its `setup`. Revisions are commits, so a profile means
the same files next year; where the commit was not known here it is a branch (`UNPINNED`), which a
plan pins to the commit of that day and the record names. Licences are as tagged on the hub when
this was written, bytes those of the weights file there, 0: not known.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from massannot.errors import UsageError
from massannot.models.weights import Weights
from massannot.plugins import is_file, outside_object

Job = Literal["detect", "masks", "depth", "second_depth", "tracks", "cameras", "cuboids"]

OWN = Path(__file__).parent
PERMISSIVE = ("apache-2.0", "mit", "bsd-3-clause")


@dataclass(frozen=True)
class ProfileModel:
    """One job of a profile. `adapter` is "file:class" under massannot/models; `weights` None for
    a method without weights; `n_bytes` the download; `memory_gb` measured as BENCHMARKS.md says:
    peak memory of a process with this model alone, float32 on the CPU."""

    job: Job
    adapter: str
    weights: Weights | None
    n_bytes: int = 0
    memory_gb: float = 0.0
    range_m: float | None = None
    """The farthest depth that the weights were trained for, config.json's max_depth; for a network
    that was taught one lens, as that lens sees it. None: not metric, or no depth."""
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def license(self) -> str:
        return "" if self.weights is None else self.weights.license

    @property
    def seen(self) -> str:
        """What this model was seen with where the project is made."""
        if self.weights is None:
            return "seen on rendered scenes and on camera clips"
        if self.weights.on_hub:
            return "seen with random weights of its architecture, never with these"
        return "seen with these weights, on rendered scenes"

    @property
    def method(self) -> str:
        """The adapter's file: lucas_kanade."""
        return self.adapter.partition(":")[0]

    def build(self, **options: Any) -> Any:
        """The adapter with the profile's options, those of the weights' own card.json ("options":
        thresholds found in training), and `options`, the later winning. Loads no weights."""
        kind = adapter(self.adapter)
        chosen = dict(self.options) | self._options_of_card() | options
        return kind(**chosen) if self.weights is None else kind(self.weights, **chosen)

    def _options_of_card(self) -> dict[str, Any]:
        card = None if self.weights is None else self.weights.path / "card.json"
        if card is None or not card.is_file():
            return {}
        return dict(json.loads(card.read_text()).get("options", {}))


@dataclass(frozen=True)
class Profile:
    """A set of models, and what must be said about it wherever it is used."""

    name: str
    summary: str
    models: tuple[ProfileModel, ...]
    note: str = ""
    farther: str = ""
    """The profile whose depth reaches farther, if there is one."""
    options: tuple[tuple[str, str, str], ...] = ()
    """(stage, option, value) that suit these weights, as in --set stage.option=value."""

    def model(self, job: Job) -> ProfileModel:
        """Raises UsageError for a job that this profile has no model for."""
        for model in self.models:
            if model.job == job:
                return model
        raise UsageError(f"profile {self.name}: no model for {job!r}; it has {self.jobs}")

    @property
    def jobs(self) -> tuple[Job, ...]:
        return tuple(model.job for model in self.models)

    @property
    def weights(self) -> tuple[Weights, ...]:
        """What must lie on the machine: the argument of weights.require."""
        return tuple(model.weights for model in self.models if model.weights is not None)

    @property
    def restricted(self) -> tuple[ProfileModel, ...]:
        """Models whose licence is not a permissive one, or unknown."""
        held = [model for model in self.models if model.weights is not None]
        return tuple(model for model in held if model.license not in PERMISSIVE)

    @property
    def n_bytes(self) -> int:
        return sum(model.n_bytes for model in self.models)

    def using(self, job: Job, weights: Weights) -> Profile:
        """The same profile with other weights for one job, of the same architecture."""
        self.model(job)
        changed = (replace(m, weights=weights) if m.job == job else m for m in self.models)
        return replace(self, models=tuple(changed))


def adapter(name: str) -> Any:
    """The class that a name says: "file:Class" below massannot/models, "package.module:Class" or
    "path/file.py:Class" outside of it. Raises UsageError for one that is not there."""
    file, _, kind = name.partition(":")
    if is_file(name) or not (OWN / f"{file.replace('.', '/')}.py").is_file():
        return outside_object(name, kind="--model")
    return getattr(importlib.import_module(f"massannot.models.{file}"), kind)


def named(name: str) -> Profile:
    """Raises UsageError naming the profiles that exist."""
    for profile in PROFILES:
        if profile.name == name:
            return profile
    raise UsageError(f"no profile {name!r}; profiles: {', '.join(p.name for p in PROFILES)}")


def _hub(source: str, revision: str, license: str, file: str = "") -> Weights:
    return Weights(source, revision, file, license)


def _embedded(file: str) -> Weights:
    return Weights(f"embedded/{file}", license="apache-2.0")


_DETECT_BASE = ProfileModel(
    "detect",
    "grounding_dino:GroundingDino",
    _hub(
        "IDEA-Research/grounding-dino-base",
        "12bdfa3120f3e7ec7b434d90674b3396eccf88eb",
        "apache-2.0",
    ),
    n_bytes=933_400_872,
    memory_gb=2.7,
)
_DETECT_TINY = ProfileModel(
    "detect",
    "grounding_dino:GroundingDino",
    _hub(
        "IDEA-Research/grounding-dino-tiny",
        "a2bb814dd30d776dcf7e30523b00659f4f141c71",
        "apache-2.0",
    ),
    n_bytes=689_359_096,
    memory_gb=2.4,
)
_MASKS_LARGE = ProfileModel(
    "masks",
    "sam2.propagator:Sam2Video",
    _hub(
        "facebook/sam2.1-hiera-large",
        "665f8e2ad61cf5f53d65644ff27c8ee525124610",
        "apache-2.0",
    ),
    n_bytes=897_897_416,
    memory_gb=2.0,
)
_MASKS_TINY = ProfileModel(
    "masks",
    "sam2.propagator:Sam2Video",
    _hub(
        "facebook/sam2.1-hiera-tiny",
        "de431c4043854a71d8101e17995dfe596bf101a5",
        "apache-2.0",
    ),
    n_bytes=155_908_064,
    memory_gb=1.5,
)
_MASKS_EDGETAM = ProfileModel(
    "masks",
    "edgetam_video:EdgeTamVideo",
    _hub(
        "yonigozlan/EdgeTAM-hf",
        "c266ce53b3fc00f0f495b583f6a116c4e57f53bb",
        "apache-2.0",
    ),
    n_bytes=55_912_824,
    memory_gb=0.9,
)
_DEPTH_METRIC_LARGE = ProfileModel(
    "depth",
    "depth_anything:DepthAnything",
    _hub(
        "depth-anything/Depth-Anything-V2-Metric-Indoor-Large-hf",
        "d2fc6a93601aabb1139a3bf0ebfcb4e89c67817f",
        "cc-by-nc-4.0",
    ),
    n_bytes=1_341_322_868,
    memory_gb=2.8,
    range_m=20.0,
)
_DEPTH_METRIC_SMALL = ProfileModel(
    "depth",
    "depth_anything:DepthAnything",
    _hub(
        "depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf",
        "8078d68a9c75a972131914f6afd0c1723be0da7f",
        "",  # the metric cards are reported to carry no tag; what is downloaded is read for one
    ),
    n_bytes=99_173_660,
    memory_gb=1.0,
    range_m=20.0,
)
_DEPTH_OUTDOOR_LARGE = replace(
    _DEPTH_METRIC_LARGE,  # another training of one architecture: same bytes, same memory
    weights=_hub(
        "depth-anything/Depth-Anything-V2-Metric-Outdoor-Large-hf",
        "4eab4cf1983c2801c515804005214de56a4b67cc",
        "cc-by-nc-4.0",
    ),
    range_m=80.0,
)
_DEPTH_OUTDOOR_SMALL = replace(
    _DEPTH_METRIC_SMALL,
    weights=_hub(
        "depth-anything/Depth-Anything-V2-Metric-Outdoor-Small-hf",
        "fd2c22027eaf20374204f14099b8341e1925ad39",
        "",
    ),
    range_m=80.0,
)
_DEPTH_RELATIVE_SMALL = ProfileModel(
    "depth",
    "depth_anything:DepthAnything",
    _hub(
        "depth-anything/Depth-Anything-V2-Small-hf",
        "5426e4f0f36572d16453bbda7a8389317b1bef99",
        "apache-2.0",
    ),
    n_bytes=99_173_660,
    memory_gb=1.0,
)
_TRACKS_COTRACKER3 = ProfileModel(
    "tracks",
    "cotracker3.tracker:CoTracker3Tracker",
    _hub(
        "facebook/cotracker3",
        "bf55ea50d4390e1820a267f131cd6587240fb2c5",
        "cc-by-nc-4.0",
        file="scaled_offline.pth",
    ),
    n_bytes=101_890_938,
)
_DETECT_MM_LARGE = ProfileModel(
    "detect",
    "mm_grounding_dino:MMGroundingDino",
    _hub("openmmlab-community/mm_grounding_dino_large_all", "main", "apache-2.0"),
    memory_gb=3.3,
)
_DETECT_SAM3 = ProfileModel(
    "detect",
    "sam3.video:Sam3Video",
    _hub("facebook/sam3", "3c879f39826c281e95690f02c7821c4de09afae7", "sam-license"),
    memory_gb=4.5,
)
_MASKS_SAM3 = replace(_DETECT_SAM3, job="masks")
_DEPTH_PRO = ProfileModel(
    "depth",
    "depth_pro:DepthPro",
    _hub("apple/DepthPro-hf", "de816c8ce7168afcb231f96d501d72b869d0beda", "apple-amlr"),
    memory_gb=7.1,
)
_CAMERAS_DEPTH_PRO = replace(_DEPTH_PRO, job="cameras")
_TRACKS_LUCAS_KANADE = ProfileModel("tracks", "lucas_kanade:LucasKanade", None)

UNPINNED = frozenset({"openmmlab-community/mm_grounding_dino_large_all"})

PROFILES: Sequence[Profile] = (
    Profile(
        "mass",
        "the paper's stack at its full size; wants a GPU",
        (_DETECT_BASE, _MASKS_LARGE, _DEPTH_METRIC_LARGE, _TRACKS_COTRACKER3),
        note="depth and tracks: weights for non-commercial use only (cc-by-nc-4.0)",
        farther="mass-outdoor",
    ),
    Profile(
        "mass-outdoor",
        "the same with depth trained outdoors, up to 80 m instead of 20",
        (_DETECT_BASE, _MASKS_LARGE, _DEPTH_OUTDOOR_LARGE, _TRACKS_COTRACKER3),
        note="depth and tracks: weights for non-commercial use only (cc-by-nc-4.0)",
    ),
    Profile(
        "small",
        "the smallest official sizes; a laptop will do",
        (_DETECT_TINY, _MASKS_TINY, _DEPTH_METRIC_SMALL, _TRACKS_COTRACKER3),
        note="tracks: weights for non-commercial use only (cc-by-nc-4.0)",
        farther="small-outdoor",
    ),
    Profile(
        "small-outdoor",
        "the same with depth trained outdoors, up to 80 m instead of 20",
        (_DETECT_TINY, _MASKS_TINY, _DEPTH_OUTDOOR_SMALL, _TRACKS_COTRACKER3),
        note="tracks: weights for non-commercial use only (cc-by-nc-4.0)",
    ),
    Profile(
        "fast",
        "the smallest models: EdgeTAM's masks, points without a network; needs massannot[edgetam]",
        (_DETECT_TINY, _MASKS_EDGETAM, _DEPTH_METRIC_SMALL, _TRACKS_LUCAS_KANADE),
        note="the extra massannot[edgetam] has what EdgeTAM's backbone needs: timm and torchvision",
        farther="small-outdoor",
    ),
    Profile(
        "frontier",
        "the newest models: SAM 3 from phrases to masks, metres and the lens by Depth Pro; wants a "
        "large GPU",
        (_DETECT_SAM3, _MASKS_SAM3, _DEPTH_PRO, _CAMERAS_DEPTH_PRO, _TRACKS_COTRACKER3),
        note="boxes and masks: weights under SAM 3's own licence (sam-license), behind a gate: "
        "accept it on the hub and set HF_TOKEN; depth and cameras: weights for research only "
        "(apple-amlr); tracks: weights for non-commercial use only (cc-by-nc-4.0)",
    ),
    Profile(
        "recent",
        "MM Grounding DINO and SAM 2.1, metres and the lens by Depth Pro; wants a large GPU",
        (_DETECT_MM_LARGE, _MASKS_LARGE, _DEPTH_PRO, _CAMERAS_DEPTH_PRO, _TRACKS_COTRACKER3),
        note="depth and cameras: weights for research only (apple-amlr); tracks: weights for "
        "non-commercial use only (cc-by-nc-4.0)",
    ),
    Profile(
        "permissive-relative",
        "only permissively tagged weights; depth is relative, so nothing is in metres",
        (_DETECT_BASE, _MASKS_LARGE, _DEPTH_RELATIVE_SMALL, _TRACKS_LUCAS_KANADE),
    ),
    Profile(
        "embedded",
        "tiny models of the same architectures, shipped in the package",
        (
            ProfileModel("detect", "grounding_dino:GroundingDino", _embedded("grounding_dino")),
            ProfileModel("masks", "sam2.propagator:Sam2Video", _embedded("sam2_video")),
            ProfileModel(
                "depth", "depth_anything:DepthAnything", _embedded("depth_anything"), range_m=14.0
            ),
            _TRACKS_LUCAS_KANADE,
        ),
        note=(
            "these weights know only this project's rendered scenes: a demonstration and a ruler; "
            "points are tracked by Lucas-Kanade, which needs none and did better there than a "
            "CoTracker3 trained for it"
        ),
        # What a tiny memory holds for 8 frames it has half lost after 32; a box is cheap.
        options=(("detect_phrases", "key_every", "8"), ("propagate_masks", "renew", "true")),
    ),
)
