"""Weights: the source of a model's files, and their copies on this machine.

A source is a hub id ("owner/name"), a folder in the hub's layout, or one file. A copy that is
complete at the wanted revision is used without asking the hub, so five hundred workers ask it
nothing; otherwise it is downloaded, unless HF_HUB_OFFLINE forbids it. HF_HOME, HF_ENDPOINT and
HF_TOKEN are read by huggingface_hub itself. Imports neither torch nor transformers.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from massannot.errors import MissingWeights
from massannot.models.protocols import ModelCard

DESCRIPTIONS = (
    "config.json", "preprocessor_config.json", "processor_config.json", "tokenizer.json",
    "video_preprocessor_config.json", "tokenizer_config.json", "special_tokens_map.json",
    "vocab.txt", "added_tokens.json", "card.json", "README.md",
)  # fmt: skip
"""Small files worth having beside the weights; nothing else of a repository is downloaded."""

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
"""In the order of preference: a pickle only where there is nothing better."""

SHIPPED = Path(__file__).parent.parent / "weights"
"""Weights that travel with the package: "embedded/x" is a folder in here, so that a run's record
says the same on every machine."""

_COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_CHECKPOINT_ENDINGS = (".safetensors", ".pth", ".pt", ".bin")


@dataclass(frozen=True)
class Weights:
    """A source of weights. A folder or file on this machine wins over a hub id of that name.

    `file`: one file of a hub repository, for checkpoints that are not in transformers' layout.
    `license`: as tagged by the authors; empty: read from the model's README or card.json.
    """

    source: str
    revision: str = "main"
    file: str = ""
    license: str = ""

    @classmethod
    def named(cls, where: str) -> Weights:
        """The source that a user wrote: a folder, a file, or a hub id, which may end in
        @REVISION."""
        source, at, revision = where.rpartition("@")
        if at and source and revision and cls(source).on_hub and not Path(where).exists():
            return cls(source, revision)
        return cls(where)

    def __str__(self) -> str:
        path = f"{self.source}/{self.file}" if self.file else self.source
        return f"{path}@{self.revision[:12]}" if self.on_hub else path

    @property
    def on_hub(self) -> bool:
        """Whether the source names a repository, not a path."""
        return (
            _HUB_ID.fullmatch(self.source) is not None
            and not self.source.startswith((".", "~"))
            and not self.source.endswith(_CHECKPOINT_ENDINGS)
            and not self.path.exists()
        )

    @property
    def is_pinned(self) -> bool:
        """Whether the revision is a commit, which always means the same files."""
        return _COMMIT.fullmatch(self.revision) is not None

    @property
    def path(self) -> Path:
        """The path of a source that is no hub id; shipped weights win over a folder of that
        name."""
        shipped = SHIPPED / self.source
        if self.source.startswith("embedded/") and shipped.is_dir():
            return shipped
        return Path(self.source).expanduser()


@dataclass(frozen=True)
class LocalWeights:
    """Files that lie on this machine. `folder` holds `files`; `revision` is the commit on the hub,
    empty for a local source."""

    wanted: Weights
    folder: Path
    files: tuple[Path, ...]
    revision: str

    @property
    def sha256(self) -> str:
        """Of the weights: one file's own digest (the one that the hub shows), or, for several, the
        digest of the lines "digest  name"."""
        if len(self.files) == 1:
            return _sha256(self.files[0])
        lines = [f"{_sha256(file)}  {file.name}\n" for file in self.files]
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @property
    def license(self) -> str:
        """As tagged: by the profile, else by the repository's own card; "untagged" without."""
        return self.wanted.license or _tagged_license(self.folder) or "untagged"

    @property
    def n_bytes(self) -> int:
        return sum(file.stat().st_size for file in self.files)

    def card(self, *, name: str, n_parameters: int) -> ModelCard:
        """The entry of these weights in the run's record."""
        source = f"{self.wanted.source}/{self.wanted.file}".rstrip("/")
        return ModelCard(name, source, self.revision, self.sha256, self.license, n_parameters)


def find(weights: Weights, *, download: bool = True) -> LocalWeights:
    """The weights on this machine, downloaded when they must and may be.

    Raises MissingWeights with the source, the files that exist, and the way out.
    """
    if not weights.on_hub:
        return _from_path(weights)
    cached = _from_cache(weights)
    if cached is not None:
        return cached
    hub = _hub(weights)
    if hub.constants.HF_HUB_OFFLINE or not download:
        why = "HF_HUB_OFFLINE is set" if hub.constants.HF_HUB_OFFLINE else "downloads are off"
        raise MissingWeights(
            f"weights {weights}: not complete in {hub.constants.HF_HUB_CACHE}, and {why}; run "
            "`massannot models download` where there is a network and copy HF_HOME, or name a "
            "local folder"
        )
    _download(weights)
    local = _from_cache(weights)
    if local is None:
        raise MissingWeights(
            f"weights {weights}: the download ended, but {_expected(weights)} is not all there; "
            "the network broke off or the repository lacks it: try again, or name a local folder"
        )
    return local


def require(wanted: Iterable[Weights], *, download: bool = True) -> tuple[LocalWeights, ...]:
    """All of them, or one MissingWeights that names every one that is missing. Costs no torch: a
    command calls it before any video is opened."""
    present, missing = [], []
    for weights in wanted:
        try:
            present.append(find(weights, download=download))
        except MissingWeights as error:
            missing.append(str(error))
    if missing:
        raise MissingWeights("\n".join(missing))
    return tuple(present)


def pin(weights: Weights) -> Weights:
    """The same weights with the branch or tag replaced by its commit, so that a plan means the
    same files on every worker: the commit that lies complete in the cache, which `find` would take,
    else what the hub says now. Raises MissingWeights."""
    if not weights.on_hub or weights.is_pinned:
        return weights
    cached = _from_cache(weights)
    if cached is not None:
        return replace(weights, revision=cached.revision)
    hub = _hub(weights)
    if hub.constants.HF_HUB_OFFLINE:
        raise MissingWeights(f"weights {weights}: not in the cache, and HF_HUB_OFFLINE is set")
    info = _ask_hub(
        weights, lambda: hub.HfApi().model_info(weights.source, revision=weights.revision)
    )
    return replace(weights, revision=str(info.sha))


def read_state(path: Path) -> dict[str, Any]:
    """Tensors by name from a .safetensors or a pickle (tensors only: weights_only=True), taken
    out from under "model" or "state_dict" where they lie there. Raises MissingWeights."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        import torch

        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a file that is not what it seems
        raise MissingWeights(
            f"weights {path}: {type(error).__name__}: {str(error).splitlines()[0][:200]}; expected "
            "a .safetensors file or a pickle of tensors only"
        ) from error
    for key in ("model", "state_dict"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    return dict(state)


def _from_path(weights: Weights) -> LocalWeights:
    path = weights.path
    if path.is_dir() and weights.file:
        path = path / weights.file
    if path.is_file():
        return LocalWeights(weights, path.parent, (path,), "")
    if not path.is_dir():
        raise MissingWeights(
            f"weights {weights.source}: no such folder or file, and not a hub id (owner/name)"
        )
    files = _weight_files(path)
    if not files or not (path / "config.json").is_file():
        raise MissingWeights(
            f"weights {weights.source}: found {sorted(p.name for p in path.iterdir())[:12]}, "
            f"expected {_expected(weights)}"
        )
    return LocalWeights(weights, path, files, "")


def _from_cache(weights: Weights) -> LocalWeights | None:
    """The complete copy in the hub's cache; None, also after an interrupted download."""
    name = weights.file or "config.json"
    cached = _hub(weights).try_to_load_from_cache(weights.source, name, revision=weights.revision)
    if not isinstance(cached, str):  # None, or a marker that the repository has no such file
        return None
    folder = Path(cached.removesuffix(name))
    files = (Path(cached),) if weights.file else _weight_files(folder)
    return LocalWeights(weights, folder, files, folder.name) if files else None


def _weight_files(folder: Path) -> tuple[Path, ...]:
    """The weights of a folder in transformers' layout, shards sorted; empty if not all there."""
    for name in WEIGHT_FILES:
        if (folder / name).is_file():
            return (folder / name,)
        index = folder / f"{name}.index.json"
        if index.is_file():
            shards = sorted(set(json.loads(index.read_text())["weight_map"].values()))
            files = tuple(folder / shard for shard in shards)
            return files if all(file.is_file() for file in files) else ()
    return ()


def _download(weights: Weights) -> None:
    hub = _hub(weights)
    info = _ask_hub(
        weights,
        lambda: hub.HfApi().model_info(
            weights.source, revision=weights.revision, files_metadata=True
        ),
    )
    sizes = {s.rfilename: int(s.size or 0) for s in info.siblings or ()}
    names = _wanted_files(weights, list(sizes))
    total = sum(sizes[name] for name in names)
    print(
        f"massannot: downloading {weights.source} at {str(info.sha)[:12]}, {total / 1e6:.0f} MB",
        file=sys.stderr,
    )
    _ask_hub(
        weights,
        lambda: hub.snapshot_download(
            weights.source,
            revision=weights.revision,
            allow_patterns=list(names),
            tqdm_class=None if sys.stderr.isatty() else _quiet_bar(hub),
        ),
    )


def _wanted_files(weights: Weights, listed: Sequence[str]) -> tuple[str, ...]:
    """Descriptions, and the weights in one format only: some repositories hold three."""
    names = [name for name in DESCRIPTIONS if name in listed]
    if weights.file:
        chosen = [weights.file] if weights.file in listed else []
    else:
        chosen = []
        for name in WEIGHT_FILES:
            stem, ending = name.split(".")
            pattern = re.compile(rf"{stem}(-\d+-of-\d+)?\.{ending}(\.index\.json)?")
            chosen = [n for n in listed if pattern.fullmatch(n)]
            if chosen:
                break
    if not chosen:
        raise MissingWeights(
            f"weights {weights}: the repository holds {sorted(listed)[:12]}, expected "
            f"{_expected(weights)}"
        )
    return (*names, *chosen)


def _ask_hub(weights: Weights, ask: Callable[[], Any]) -> Any:
    """`ask()`, with each of the hub's refusals as a MissingWeights of one sentence."""
    hub = _hub(weights)
    where = hub.constants.ENDPOINT
    try:
        return ask()
    except hub.errors.GatedRepoError as error:
        raise MissingWeights(
            f"weights {weights}: {where} asks for consent to its terms; accept them there and set "
            "HF_TOKEN"
        ) from error
    except hub.errors.RevisionNotFoundError as error:
        raise MissingWeights(
            f"weights {weights}: {where} knows no revision {weights.revision} of {weights.source}"
        ) from error
    except hub.errors.RepositoryNotFoundError as error:
        raise MissingWeights(
            f"weights {weights}: {where} shows no such repository; check the name, and HF_TOKEN if "
            "it is private"
        ) from error
    except (hub.errors.HfHubHTTPError, OSError) as error:
        raise MissingWeights(f"weights {weights}: {where} did not answer: {error}") from error
    except Exception as error:
        if type(error).__module__.split(".")[0] not in {"httpx", "httpx2", "httpcore", "requests"}:
            raise
        raise MissingWeights(
            f"weights {weights}: {where} cannot be reached ({type(error).__name__}: {error}); "
            "check the network, or HF_ENDPOINT, or name a local folder"
        ) from error


def _expected(weights: Weights) -> str:
    return weights.file or f"config.json and one of {list(WEIGHT_FILES)}"


def _hub(weights: Weights) -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors
    except ImportError as error:
        raise MissingWeights(
            f"weights {weights}: huggingface_hub is not installed; pip install 'massannot[models]'"
        ) from error
    return huggingface_hub


def _quiet_bar(hub: Any) -> type:
    """A progress bar that draws nothing: a log is no terminal."""
    from huggingface_hub.utils import tqdm

    class Quiet(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "disable": True})

    return Quiet


def _sha256(path: Path) -> str:
    stat = path.stat()
    return _sha256_of(path.resolve(), stat.st_size, stat.st_mtime_ns)


@functools.cache
def _sha256_of(path: Path, size: int, mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _tagged_license(folder: Path) -> str:
    """`license:` from the front matter of README.md, or "license" of card.json."""
    readme = folder / "README.md"
    if readme.is_file():
        text = readme.read_text(errors="replace")
        front = re.match(r"---\n(.*?)\n---", text, re.DOTALL)
        tag = re.search(r"^license:\s*(\S+)", front.group(1), re.MULTILINE) if front else None
        if tag:
            return tag.group(1).strip("'\"")
    card = folder / "card.json"
    return str(json.loads(card.read_text()).get("license", "")) if card.is_file() else ""
