"""Weights are found, downloaded, pinned and hashed; what is missing is said once and early."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from massannot.errors import MissingWeights
from massannot.models.weights import Weights, find, read_state, require
from tests.local_hub import Hub

COMMIT = "c" * 40
REPO = "someone/depth-tiny"


def repository(folder: Path) -> Path:
    """What a repository of the hub holds, the same weights in three formats among it."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"weight": torch.arange(6.0)}, folder / "model.safetensors")
    torch.save({"weight": torch.arange(6.0)}, folder / "pytorch_model.bin")
    (folder / "config.json").write_text('{"model_type": "depth_anything"}')
    (folder / "preprocessor_config.json").write_text("{}")
    (folder / "README.md").write_text("---\ntags: [x]\nlicense: cc-by-nc-4.0\n---\n# Depth\n")
    (folder / "original_checkpoint.pt").write_bytes(b"x" * 1000)
    return folder


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with Hub({REPO: repository(tmp_path / "repo")}, commit=COMMIT) as served:
        yield served


def ask(tmp_path: Path, code: str, *, hub: Hub | None, **environment: str) -> list[str]:
    """Lines printed by `code` in a process of its own: the hub's client reads its variables when
    it is imported. `W` is the repository at its main branch."""
    program = (
        "from massannot.models.weights import *\nfrom massannot.errors import MissingWeights\n"
    )
    program += f"W = Weights({REPO!r})\n" + textwrap.dedent(code)
    variables = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    variables |= {
        "HF_HOME": str(tmp_path / "home"),
        "HF_ENDPOINT": "http://127.0.0.1:9" if hub is None else hub.url,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    } | environment
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=variables, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_weights_are_downloaded_once_and_found_without_asking_again(
    tmp_path: Path, hub: Hub
) -> None:
    code = "f = find(W); print(f.revision); print(f.sha256); print(f.license)"
    first = ask(tmp_path, code, hub=hub)
    served = hashlib.sha256((tmp_path / "repo" / "model.safetensors").read_bytes()).hexdigest()
    assert first == [COMMIT, served, "cc-by-nc-4.0"]
    asked = len(hub.requests)
    assert ask(tmp_path, code, hub=hub) == first
    assert len(hub.requests) == asked
    assert ask(tmp_path, code, hub=hub, HF_HUB_OFFLINE="1") == first


def test_only_one_format_is_downloaded(tmp_path: Path, hub: Hub) -> None:
    (names,) = ask(tmp_path, "print(sorted(p.name for p in find(W).folder.iterdir()))", hub=hub)
    assert names == str(
        ["README.md", "config.json", "model.safetensors", "preprocessor_config.json"]
    )


def test_one_file_of_a_repository_can_be_named(tmp_path: Path, hub: Hub) -> None:
    code = f"""
    f = find(Weights({REPO!r}, file="original_checkpoint.pt", license="mit"))
    print(f.files[0].name, f.n_bytes, f.license, f.card(name="t", n_parameters=3).weights)
    """
    wanted = f"original_checkpoint.pt 1000 mit {REPO}/original_checkpoint.pt"
    assert ask(tmp_path, code, hub=hub) == [wanted]


def test_a_branch_is_pinned_to_its_commit(tmp_path: Path, hub: Hub) -> None:
    code = "print(pin(W).revision, pin(pin(W)) == pin(W))"
    assert ask(tmp_path, code, hub=hub) == [f"{COMMIT} True"]


def test_a_pinned_plan_is_read_offline(tmp_path: Path, hub: Hub) -> None:
    ask(tmp_path, "find(W)", hub=hub)
    code = "print(pin(W).revision, find(pin(W)).revision)"
    assert ask(tmp_path, code, hub=None, HF_HUB_OFFLINE="1") == [f"{COMMIT} {COMMIT}"]


def test_what_is_pinned_and_there_asks_the_hub_nothing(tmp_path: Path, hub: Hub) -> None:
    ask(tmp_path, "find(pin(W))", hub=hub)
    hub.requests.clear()
    again = "print(find(replace(W, revision='c' * 40)).revision)"
    assert ask(tmp_path, again, hub=hub) == [COMMIT]
    assert hub.requests == []


def test_a_plan_pins_every_model_of_a_hub_that_it_needs(tmp_path: Path, hub: Hub) -> None:
    """The recipe names commits. A folder begun with an earlier commit keeps that one, unless it was
    another model's."""
    code = f"""
    from dataclasses import replace
    from massannot.recipes.model_flags import ModelFlags, run_spec
    from massannot.recipes.models import needed_weights, pinned
    def spec(depth):
        files = dict(masks="masks.json", tracks="tracks.npz")
        return run_spec(flags=ModelFlags(profile="small", weights=dict(depth=depth), files=files))
    def show(spec):
        in_stages = [s["model"]["weights"] for s in spec.pipeline().describe()["stages"]
                     if s["stage"] == "estimate_depth"]
        assert [w["revision"] for w in in_stages] == [w.revision for w in needed_weights(spec)]
        print({{w.source: w.revision for w in needed_weights(spec)}})
    wanted = spec({REPO!r})
    known = dict(depth=replace(wanted.models["depth"], revision="e" * 40))
    show(wanted)
    show(pinned(wanted))
    show(pinned(wanted, known=known))
    show(pinned(pinned(wanted), known=known))
    show(pinned(spec("{REPO}@{COMMIT}"), known=known))
    show(pinned(wanted, known=dict(depth=replace(known["depth"], weights="someone/other"))))
    """
    pins = [{REPO: revision} for revision in ("main", COMMIT, "e" * 40, COMMIT, COMMIT, COMMIT)]
    assert ask(tmp_path, code, hub=hub) == [str(pin) for pin in pins]


def test_where_one_cannot_be_pinned_all_that_are_missing_are_named(tmp_path: Path) -> None:
    code = """
    from massannot.recipes.models import pinned
    from massannot.recipes.model_flags import ModelFlags, run_spec
    branch = {"tracks": "facebook/cotracker3@main"}
    try: pinned(run_spec(flags=ModelFlags(profile="small", weights=branch)))
    except MissingWeights as error: print(error)
    """
    said = ask(tmp_path, code, hub=None, HF_HUB_OFFLINE="1")
    for name in ("grounding-dino-tiny", "sam2.1-hiera-tiny", "Metric-Indoor-Small", "cotracker3"):
        assert any(name in line and "massannot models download" in line for line in said), name


def test_an_interrupted_download_is_not_taken_for_weights(tmp_path: Path, hub: Hub) -> None:
    code = """
    f = find(W)
    f.files[0].resolve().unlink(); f.files[0].unlink()
    print(find(W).files[0].is_file())
    """
    assert ask(tmp_path, code, hub=hub) == ["True"]


REFUSED = "try: {}\nexcept MissingWeights as e: print(e)"


@pytest.mark.parametrize(
    ("call", "environment", "words"),
    [
        ("find(W)", {"HF_HUB_OFFLINE": "1"}, ["HF_HUB_OFFLINE is set", "models download", REPO]),
        ("find(W, download=False)", {}, ["downloads are off", "models download"]),
        ("find(W)", {}, ["127.0.0.1:9", "name a local folder"]),
        ("pin(W)", {"HF_HUB_OFFLINE": "1"}, ["HF_HUB_OFFLINE is set"]),
    ],
    ids=["offline", "downloads off", "no network", "pinning offline"],
)
def test_weights_that_cannot_be_had_are_refused_with_the_way_out(
    tmp_path: Path, call: str, environment: dict[str, str], words: list[str]
) -> None:
    said = "\n".join(ask(tmp_path, REFUSED.format(call), hub=None, **environment))
    for word in words:
        assert word in said


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ("Weights('someone/else')", "no such repository"),
        (f"Weights({REPO!r}, revision='v9')", "knows no revision v9"),
        (f"Weights({REPO!r}, file='other.pth')", "expected other.pth"),
        ("Weights('someone/gated')", "asks for consent"),
    ],
    ids=["no such repository", "no such revision", "no such file", "gated"],
)
def test_what_the_hub_refuses_is_said_in_a_sentence(
    tmp_path: Path, hub: Hub, weights: str, words: str
) -> None:
    hub.gated.add("someone/gated")
    assert words in "\n".join(ask(tmp_path, REFUSED.format(f"find({weights})"), hub=hub))


def test_the_token_reaches_the_hub(tmp_path: Path, hub: Hub) -> None:
    ask(tmp_path, "find(W)", hub=hub, HF_TOKEN="hf_secret")
    assert hub.tokens == {"Bearer hf_secret"}


def test_everything_missing_is_said_at_once(tmp_path: Path) -> None:
    wanted = [Weights(str(tmp_path / name)) for name in ("detector", "depth")]
    with pytest.raises(MissingWeights) as refusal:
        require(wanted)
    assert "detector" in str(refusal.value)
    assert "depth" in str(refusal.value)


def test_a_folder_in_the_hubs_layout_is_taken_as_it_is(tmp_path: Path) -> None:
    found = find(Weights(str(repository(tmp_path / "mine"))))
    assert [file.name for file in found.files] == ["model.safetensors"]
    assert found.revision == ""
    card = found.card(name="depth", n_parameters=6)
    assert (card.license, card.n_parameters, len(card.sha256)) == ("cc-by-nc-4.0", 6, 64)


def test_shards_are_hashed_together_and_must_all_be_there(tmp_path: Path) -> None:
    names = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    for i, name in enumerate(names):
        save_file({f"w{i}": torch.zeros(i + 1)}, tmp_path / name)
    index = {"weight_map": {"w0": names[0], "w1": names[1]}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "config.json").write_text("{}")
    both = find(Weights(str(tmp_path)))
    lines = [f"{hashlib.sha256((tmp_path / n).read_bytes()).hexdigest()}  {n}\n" for n in names]
    assert both.sha256 == hashlib.sha256("".join(lines).encode()).hexdigest()
    (tmp_path / names[1]).unlink()
    with pytest.raises(MissingWeights, match=r"expected config\.json and one of"):
        find(Weights(str(tmp_path)))


@pytest.mark.parametrize(
    ("source", "why"),
    [("/no/such/folder", "no such folder"), ("./a/b", "no such folder"), ("net.pth", "no such")],
)
def test_a_path_that_is_not_there_is_refused(source: str, why: str) -> None:
    with pytest.raises(MissingWeights, match=why):
        find(Weights(source))


def test_states_are_read_from_safetensors_and_from_pickles(tmp_path: Path) -> None:
    state = {"weight": torch.arange(4.0)}
    save_file(state, tmp_path / "a.safetensors")
    torch.save(state, tmp_path / "b.pth")
    torch.save({"model": state}, tmp_path / "c.pth")
    for name in ("a.safetensors", "b.pth", "c.pth"):
        assert torch.equal(read_state(tmp_path / name)["weight"], state["weight"]), name


def test_a_pickle_that_would_run_code_is_refused_unrun(tmp_path: Path) -> None:
    target = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (os.mkdir, (str(target),))

    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"weight": Evil()}))
    with pytest.raises(MissingWeights, match="pickle of tensors only"):
        read_state(tmp_path / "evil.pth")
    assert not target.exists()
