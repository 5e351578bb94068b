"""What a stranger gets from pip: the wheel, alone in an empty environment outside the checkout.

The same wheel must come out of the sdist and of the few files that the Dockerfile copies.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
COMMAND = (sys.executable, "-P", "-c", "from massannot.cli import main; main()")


def run(*command: str | Path, cwd: Path, path: Path | None = None, timeout_s: int = 420) -> str:
    """stdout of a command that must succeed, in an environment without this checkout. `path`: the
    folder of packages that come before the environment's own."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL"))}
    if path is not None:
        clean["PYTHONPATH"] = str(path)
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def wheel_of(source: Path, folder: Path, *more: str, path: Path | None = None) -> Path:
    wheel = (*PIP, "wheel", "--quiet", "--no-deps", *more, "--wheel-dir", folder, source)
    run(*wheel, cwd=folder, path=path)
    (written,) = folder.glob("massannot-*.whl")
    return written


def files_in(wheel: Path) -> dict[str, str]:
    """Every file of a wheel with its digest, as its RECORD lists them."""
    with zipfile.ZipFile(wheel) as archive:
        (record,) = [name for name in archive.namelist() if name.endswith(".dist-info/RECORD")]
        rows = csv.reader(io.TextIOWrapper(archive.open(record)))
        return {name: digest for name, digest, _ in rows}


def metadata_of(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return message_from_string(archive.read(name).decode())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    return wheel_of(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what builds the package, installed once for all builds but the first, which
    gets its own from pip as a stranger's does."""
    folder = tmp_path_factory.mktemp("backend")
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    run(*PIP, "install", "--quiet", "--no-compile", "--target", folder, *needs, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def target(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the wheel's packages alone, to come before the tests' environment."""
    folder = tmp_path_factory.mktemp("target")
    run(*PIP, "install", "--quiet", "--no-deps", "--target", folder, wheel, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a fresh environment with the wheel and its base dependencies."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    bin = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    run(*PIP, "--python", bin / "python", "install", "--quiet", "--no-compile",
        "-c", ROOT / "constraints.txt", wheel, cwd=folder)  # fmt: skip
    return bin


def test_the_wheel_carries_recipes_schemas_weights_types_and_licence(wheel: Path) -> None:
    files = set(files_in(wheel))
    for folder in ("pipelines", "schemas"):
        expected = {
            f"massannot/{path.relative_to(ROOT)}"
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        }
        assert expected
        assert expected <= files
    assert "massannot/py.typed" in files
    assert any(name.endswith("/licenses/LICENSE") for name in files)
    assert any(name.endswith("grounding_dino/model.safetensors") for name in files)
    strangers = [name for name in files if not name.startswith("massannot")]
    assert strangers == []


def test_the_sdist_builds_the_same_wheel_and_carries_what_tests_read(
    wheel: Path, backend: Path, tmp_path: Path
) -> None:
    build = (sys.executable, "-m", "build", "--sdist", "--no-isolation")
    run(*build, "--outdir", tmp_path, ROOT, cwd=tmp_path, path=backend)
    (sdist,) = tmp_path.glob("massannot-*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"constraints.txt", "Makefile", "docs/buckets.md", "tests/s3_server.py"} <= names
    tests = {str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("*.py")}
    assert tests <= names
    media = re.compile(r"docs/.*\.(gif|jpg|mp4|png|webp)")
    assert [name for name in names if media.fullmatch(name)] == []
    built = wheel_of(sdist, tmp_path, "--no-build-isolation", path=backend)
    assert files_in(built) == files_in(wheel)


def test_the_commands_answer(installed: Path, tmp_path: Path) -> None:
    assert "physics clip" in run(installed / "massannot", "demo", "--help", cwd=tmp_path)
    assert "annotate" in run(installed / "massannot", "recipes", "list", cwd=tmp_path)
    written = run(installed / "massannot", "schemas", tmp_path / "s", cwd=tmp_path).split()
    assert {Path(path).name for path in written} == {
        path.name for path in (ROOT / "schemas").glob("*.json")
    }


@pytest.mark.seen("installed from the wheel", "oracle")
def test_the_base_install_has_no_torch_and_still_renders_and_reads(
    installed: Path, tmp_path: Path
) -> None:
    pip = (*PIP, "--python", installed / "python")
    found = run(*pip, "list", "--format", "freeze", cwd=tmp_path)
    names = {line.split("==")[0].lower() for line in found.splitlines()}
    assert not names & {"torch", "transformers", "ray", "opencv-python-headless"}
    massannot = installed / "massannot"
    size = ("--frames", "6", "--width", "96", "--height", "80")
    run(massannot, "scenes", "render", "s", "--seed", "3", *size, cwd=tmp_path)
    truth = ("--profile", "none", "--scenes", "s", "--oracle", "detect,masks,depth,tracks,cameras")
    run(massannot, "plan", "s/videos", "-p", "a red ball", "-o", "plan", *truth, cwd=tmp_path)
    run(massannot, "annotate", "s/videos", "-p", "a red ball", "-o", "out", *truth, cwd=tmp_path)
    assert "nothing wrong" in run(massannot, "validate", "out", cwd=tmp_path)
    assert (tmp_path / "out" / "report" / "index.html").exists()


def test_help_imports_nothing_heavy(installed: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['massannot', '--help']\n"
        "from massannot.cli import main\n"
        "try:\n    main()\nexcept SystemExit: pass\n"
        "print(sorted(m for m in ('torch', 'ray', 'cv2', 'pyarrow', 'numpy') if m in sys.modules))"
    )
    assert run(installed / "python", "-c", code, cwd=tmp_path).rstrip().endswith("[]")


def test_commands_run_from_the_wheel_and_not_from_the_checkout(
    target: Path, tmp_path: Path
) -> None:
    where = run(sys.executable, "-P", "-c", "import massannot; print(massannot.__file__)",
        cwd=tmp_path, path=target)  # fmt: skip
    assert Path(where.strip()).is_relative_to(target)
    assert "annotate" in run(*COMMAND, "recipes", "list", cwd=tmp_path, path=target)
    checked = run(*COMMAND, "schemas", target / "massannot" / "schemas", "--check", cwd=tmp_path,
        path=target)  # fmt: skip
    assert "all present" in checked


@pytest.mark.slow
def test_the_demo_runs_from_the_wheel_in_a_folder_without_the_checkout(
    target: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    said = json.loads(run(*COMMAND, "demo", "-o", "demo", "--json", cwd=tmp_path, path=target))
    assert said["exit_code"] == 0
    assert (tmp_path / said["films"][0]).stat().st_size > 1000
    scores = {(row["stage"], row["metric"]): row["value"] for row in said["scores"]}
    assert scores["entities", "found"] > 0.4
    assert str(ROOT) not in json.dumps(said)


def instructions() -> list[tuple[str, str]]:
    """(INSTRUCTION, its arguments) of the Dockerfile."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return [tuple(line.split(None, 1)) for line in lines if not line.startswith("#")]


def test_the_container_installs_from_the_files_it_copies_alone(
    wheel: Path, backend: Path, tmp_path: Path
) -> None:
    source, packages = tmp_path / "src", tmp_path / "packages"
    source.mkdir()
    for name, arguments in instructions():
        if name == "COPY":
            *files, place = arguments.split()
            for file in files:
                copied = source / place / file if place.endswith("/") else source / place
                if (ROOT / file).is_dir():
                    shutil.copytree(ROOT / file, copied, ignore=shutil.ignore_patterns("*.pyc"))
                else:
                    shutil.copy(ROOT / file, copied)
    commands = [
        shlex.split(command)
        for name, arguments in instructions()
        if name == "RUN"
        for command in arguments.split("&&")
    ]
    pips = [command[1:] for command in commands if command[0] == "pip"]
    ours = [pip for pip in pips if pip[-1].startswith(".")]
    assert [pip[-1] for pip in ours] == [".[models,ray,s3]"]
    known = set(metadata_of(wheel).get_all("Provides-Extra", []))
    assert {"models", "ray", "s3"} <= known
    for pip in ours:
        run(*PIP, *pip, "--quiet", "--no-deps", "--no-build-isolation", "--target", packages,
            cwd=source, path=backend)  # fmt: skip
    listed = {
        name: digest for name, digest in files_in(wheel).items() if name.startswith("massannot/")
    }
    found = {
        str(path.relative_to(packages)): path
        for path in (packages / "massannot").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert set(found) == set(listed)
    assert "annotate" in run(*COMMAND, "recipes", "list", cwd=tmp_path, path=packages)


def test_the_container_does_not_run_as_root_and_finds_mounted_weights() -> None:
    arguments = instructions()
    users = [text for name, text in arguments if name == "USER"]
    assert users
    assert users[-1] not in ("root", "0")
    variables = " ".join(text for name, text in arguments if name == "ENV").split()
    assert "HF_HOME=/weights" in variables
    home = next(v.partition("=")[2] for v in variables if v.startswith("HOME="))
    (writable,) = [text for name, text in arguments if name == "RUN" and "chmod 1777" in text]
    assert {home, "/weights", "/work"} <= set(writable.split())
    assert ("ENTRYPOINT", '["massannot"]') in arguments


def test_the_container_engine_is_sent_every_file_that_is_copied() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    sent = {line[1:] for line in lines if line.startswith("!")}
    copied = {file for name, text in instructions() if name == "COPY" for file in text.split()[:-1]}
    assert sent == copied
