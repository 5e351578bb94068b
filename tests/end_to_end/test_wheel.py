"""What a stranger gets from pip: the wheel, alone in an empty environment outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path, timeout_s: int = 420) -> str:
    """stdout of a command that must succeed, in an environment without this checkout."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL"))}
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


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a fresh environment with the wheel and its base dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT, cwd=folder)
    (wheel,) = folder.glob("massannot-*.whl")
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    bin = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    run(bin / "python", "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt",
        wheel, cwd=folder)  # fmt: skip
    return bin


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
    found = run(installed / "python", "-m", "pip", "list", "--format", "freeze", cwd=tmp_path)
    names = {line.split("==")[0].lower() for line in found.splitlines()}
    assert not names & {"torch", "transformers", "ray", "opencv-python-headless"}
    massannot = installed / "massannot"
    size = ("--frames", "6", "--width", "96", "--height", "80")
    run(massannot, "scenes", "render", "s", "--seed", "3", *size, cwd=tmp_path)
    run(massannot, "annotate", "s/videos", "-p", "a red ball", "-o", "out", "--profile", "none",
        "--scenes", "s", "--oracle", "detect,masks,depth,tracks,cameras", cwd=tmp_path)  # fmt: skip
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
