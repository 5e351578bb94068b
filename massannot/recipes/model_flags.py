"""ModelFlags: the flags that say who does which job, and the rule that makes one answerer of them.

The first of these does a job: the model named for it, recorded answers from a file or typed, the
scenes' truth, the profile's weights, a method that needs no weights. Masks from a file answer for
boxes too, unless the truth does. Cuboids answer for boxes and cameras, and where nobody else does,
for masks, which are then their boxes. A field of view that is given wins over a profile that
estimates it.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from massannot.errors import UsageError
from massannot.models import profiles
from massannot.models.profiles import Job, Profile
from massannot.models.prompts_by_hand import BETWEEN, check_phrases, typed_prompt
from massannot.recipes.models import JOBS, JobKind, profile_of, weights_of
from massannot.recipes.spec import Answerer, PoseChoice, RunSpec

DTYPES = ("auto", "fp32", "bf16", "fp16")
BY_HAND = "prompts_by_hand:PromptsByHand"
DEFAULT_PROFILE = "small"
"""The meaning of `auto`: the smallest official weights."""
OF_CUBOIDS: tuple[Job, ...] = ("detect", "cameras")
WITH_WEIGHTS: tuple[Job, ...] = ("detect", "masks", "depth", "tracks", "cameras")
"""Jobs that a profile may have weights for."""


def refuse_unknown_dtype(dtype: str) -> None:
    """Raises UsageError for a --dtype that does not exist."""
    if dtype not in DTYPES:
        raise UsageError(f"--dtype {dtype}: expected one of {', '.join(DTYPES)}")


@dataclass(frozen=True, kw_only=True)
class ModelFlags:
    """Flags about models, as the command line takes them.

    Raises UsageError for jobs and dtypes that do not exist, and for an oracle without scenes.
    """

    profile: str = "auto"
    files: Mapping[Job, str | None] = field(default_factory=dict)
    """A job's recorded answers."""
    scenes: str | None = None
    oracles: Sequence[str] = ()
    """Jobs that the truth of `scenes` does."""
    models: Mapping[str, str] = field(default_factory=dict)
    """A job to "NAME" or "NAME@WEIGHTS", see Answerer."""
    weights: Mapping[str, str] = field(default_factory=dict)
    """A job to the hub id, folder or file that replaces the profile's weights."""
    boxes_by_hand: Sequence[str] = ()
    """Boxes as a person types them, see models/prompts_by_hand.py; they answer for boxes."""
    points_by_hand: Sequence[str] = ()
    """Points, likewise."""
    box_threshold: float | None = None
    text_threshold: float | None = None
    dtype: str = "auto"
    hfov_deg: float | None = None
    """Horizontal field of view; None: assumed, and said so."""
    poses: PoseChoice = "auto"
    """See RunSpec.poses; auto: estimated where OpenCV is installed."""

    def __post_init__(self) -> None:
        true = [job for job, kind in JOBS.items() if kind.oracle is not None]
        _check_jobs("--oracle", self.oracles, "some of", true)
        _check_jobs("--model", self.models, "one of", JOBS)
        _check_jobs("--weights", self.weights, "one of", WITH_WEIGHTS)
        for flag, texts in self._by_hand().items():
            for text in texts:
                typed_prompt(text, flag=flag)
            if texts and ("detect" in self.models or self.files.get("detect")):
                raise UsageError(
                    f"{flag} and --boxes or --model detect=...: found both, expected one"
                )
        for job in OF_CUBOIDS if self.files.get("cuboids") else ():
            by_hand = job == "detect" and any(self._by_hand().values())
            if by_hand or self.files.get(job) or job in (*self.models, *self.oracles):
                raise UsageError(
                    f"--cuboids and another answer for {job}: found both, expected one: cuboids "
                    "say where things are and which camera sees them"
                )
        if self.oracles and self.scenes is None:
            raise UsageError("--oracle needs --scenes FOLDER, where the truth lies")
        refuse_unknown_dtype(self.dtype)

    def check_phrases(self, phrases: Sequence[str]) -> None:
        """Raise UsageError for a prompt by hand that answers none of the phrases."""
        for flag, texts in self._by_hand().items():
            check_phrases(texts, phrases, flag=flag)

    def _by_hand(self) -> dict[str, Sequence[str]]:
        return {"--box": self.boxes_by_hand, "--point": self.points_by_hand}

    def answerers(self) -> dict[Job, Answerer]:
        """One answerer a job; a job that nobody does is left out. Raises UsageError."""
        name = DEFAULT_PROFILE if self.profile == "auto" else self.profile
        profile = None if name == "none" else profiles.named(name)
        found = {job: self._answerer(job, kind, profile) for job, kind in JOBS.items()}
        return {job: answerer for job, answerer in found.items() if answerer is not None}

    def _answerer(self, job: Job, kind: JobKind, profile: Profile | None) -> Answerer | None:
        cuboids = self.files.get("cuboids")
        path = cuboids if cuboids and job in OF_CUBOIDS else self.files.get(job)
        if job in self.models:
            if path:
                raise UsageError(f"--model {job}=... and {kind.flag}: found both, expected one")
            name, _, weights = self.models[job].partition("@")
            return Answerer("model", name, weights or None)
        if path:
            return Answerer("file", path)
        if job == "detect" and any(self._by_hand().values()):
            return Answerer("model", BY_HAND)
        if job in self.oracles:
            return Answerer("scene", str(self.scenes))
        if job == "detect" and self.files.get("masks"):
            return Answerer("file", str(self.files["masks"]))
        lens_given = job == "cameras" and self.hfov_deg is not None
        if profile is not None and job in profile.jobs and not lens_given:
            return Answerer("model", profile.name, self.weights.get(job))
        if cuboids and job == "masks":
            return Answerer("file", cuboids)
        return None if kind.method is None else Answerer("model", kind.method)

    def options(self) -> dict[str, str]:
        """The "job.option" values that these flags stand for."""
        answerers = self.answerers()
        of_profile = _of_profile(answerers)
        options: dict[str, str] = {}
        for flag, texts in self._by_hand().items():
            if texts:
                options[f"detect.{'boxes' if flag == '--box' else 'points'}"] = BETWEEN.join(texts)
        if self.dtype != "auto":
            networks = (job for job in of_profile if weights_of(answerers[job], job) is not None)
            options |= {f"{job}.dtype": self.dtype for job in networks}
        if "detect" in of_profile:
            thresholds = {
                "detect.box_threshold": self.box_threshold,
                "detect.text_threshold": self.text_threshold,
            }
            options |= {name: str(value) for name, value in thresholds.items() if value is not None}
        if self.hfov_deg is not None and _is_assumed(answerers):
            options["cameras.horizontal_fov_deg"] = str(self.hfov_deg)
        return options

    def without_effect(self) -> tuple[str, ...]:
        """A sentence for each flag that changes nothing, because another model does that job."""
        answerers = self.answerers()
        of_profile = _of_profile(answerers)
        sentences = [
            f"--weights {job}=... has no effect: the profile's model does not do that job here"
            for job in self.weights
            if job not in of_profile
        ]
        for flag in ("--box-threshold", "--text-threshold"):
            given = getattr(self, flag.removeprefix("--").replace("-", "_")) is not None
            if given and "detect" not in of_profile:
                sentences.append(f"{flag} has no effect: no model of a profile detects here")
        if self.dtype != "auto" and not of_profile:
            sentences.append("--dtype has no effect: no model of a profile takes part")
        if self.hfov_deg is not None and not _is_assumed(answerers):
            sentences.append("--hfov has no effect: cameras are given")
        if self.poses == "estimate" and answerers["cameras"].kind == "scene":
            sentences.append("--cameras estimate has no effect: the truth gives the poses")
        return tuple(sentences)


def run_spec(
    sources: Sequence[str] = (),
    phrases: Sequence[str] = (),
    *,
    flags: ModelFlags | None = None,
    options: Mapping[str, str] | None = None,
    **fields: Any,
) -> RunSpec:
    """The spec that flags describe: by default those of the profile `auto`.

    `options` win over those of the flags. `fields` are further fields of RunSpec. Raises UsageError
    for a box or point by hand that answers none of the phrases.
    """
    flags = flags or ModelFlags()
    flags.check_phrases(phrases)
    return RunSpec(
        **{
            "sources": tuple(sources),
            "phrases": tuple(phrases),
            "models": flags.answerers(),
            "options": flags.options() | dict(options or {}),
            "poses": _poses(flags.poses),
            "folder": os.getcwd(),
            **fields,
        }
    )


def _poses(choice: PoseChoice) -> Literal["assume", "estimate"]:
    if choice != "auto":
        return choice
    return "assume" if importlib.util.find_spec("cv2") is None else "estimate"


def _check_jobs(flag: str, jobs: Iterable[str], expected: str, known: Iterable[str]) -> None:
    unknown = sorted(set(jobs) - set(known))
    if unknown:
        raise UsageError(f"{flag} {','.join(unknown)}: expected {expected} {', '.join(known)}")


def _of_profile(answerers: Mapping[Job, Answerer]) -> list[Job]:
    return [job for job, answerer in answerers.items() if profile_of(answerer) is not None]


def _is_assumed(answerers: Mapping[Job, Answerer]) -> bool:
    """Whether the pinhole camera answers, which knows no field of view unless it is given."""
    return answerers["cameras"].name == JOBS["cameras"].method
