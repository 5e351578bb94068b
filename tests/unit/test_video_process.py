"""The decoder process: what happens to it costs one video, leaks nothing and fills no memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from massannot.clip import Clip
from massannot.errors import DecoderCrashed
from massannot.inputs.span import Span, VideoSource
from massannot.video.byte_budget import ByteBudget
from massannot.video.reader import VideoEnd, read_clips, release
from massannot.video.sampling import Sampling
from tests.unit.make_videos import Film

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

SMALL_CLIPS = Sampling(fps=None, max_frames=10)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Film().write(tmp_path_factory.mktemp("films") / "film.mp4")


@pytest.fixture(scope="module")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two minutes: 166 MB of pictures, if somebody kept them."""
    return Film(n=3000, options={"preset": "ultrafast", "g": "250"}).write(
        tmp_path_factory.mktemp("films") / "long.mp4"
    )


def decoders_of(pid: int) -> list[int]:
    """Decoder processes that `pid` started and that live."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if int(parent) == pid and b"massannot.video.decoder_service" in command:
            found.append(int(entry.name))
    return found


def peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def rss_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def started(film: Path, **options: object) -> tuple[Generator[Clip | VideoEnd], Clip, int]:
    """A reader that waits for memory after its first clip, that clip, and its process."""
    before = set(decoders_of(os.getpid()))
    reader = read_clips(str(film), sampling=SMALL_CLIPS, memory=ByteBudget(1), **options)  # type: ignore[arg-type]
    clip = next(reader)
    assert isinstance(clip, Clip)
    (pid,) = [p for p in decoders_of(os.getpid()) if p not in before] or [before.pop()]
    return reader, clip, pid  # type: ignore[return-value]


@pytest.fixture(autouse=True)
def no_idle_processes() -> None:
    """So that a test knows which process is its own."""
    from massannot.video import reader as video

    video._POOL.close()


VIEWS = """
import gc, sys
import numpy as np
from massannot.clip import Frames
from massannot.video.byte_budget import ByteBudget
from massannot.video.reader import Sampling, read_clips, release

budget = ByteBudget()
reader = read_clips(sys.argv[1], sampling=Sampling(fps=None, max_frames=10), memory=budget)
clip = next(reader)
frames, n_bytes = clip.frames, clip.frames.pixels_THWC.nbytes
view = {view}
before = view.copy()
{let_go}
reader.close()
gc.collect()
assert before.any() and np.array_equal(view, before)
assert budget.held_bytes == n_bytes, (budget.held_bytes, n_bytes)
del view
assert budget.held_bytes == 0, budget.held_bytes
"""


@pytest.mark.parametrize("let_go", ["release(clip)", "del clip, frames"])
@pytest.mark.parametrize(
    "view",
    [
        "frames.pixels_THWC",
        "frames.pixels(3, 5)",
        "frames.pixels_THWC[:, ::2, 1:, 2]",
        "np.asarray(memoryview(frames.pixels_THWC))",
    ],
)
def test_a_view_that_outlives_its_frames_shows_them_and_holds_the_memory(
    film: Path, view: str, let_go: str
) -> None:
    """In a process of its own, which a read of unmapped memory would end."""
    program = VIEWS.format(view=view, let_go=let_go)
    ended = subprocess.run(
        [sys.executable, "-c", program, str(film)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert ended.returncode == 0, (ended.returncode, ended.stderr)


def test_pages_without_a_view_are_given_back_at_once(film: Path) -> None:
    reader, clip, _ = started(film)
    assert "massannot-pixels" in Path("/proc/self/maps").read_text()
    release(clip)
    assert "massannot-pixels" not in Path("/proc/self/maps").read_text()
    reader.close()


def test_a_caller_that_keeps_a_view_of_every_clip_does_not_stop_the_reader(film: Path) -> None:
    views = []
    reader = read_clips(str(film), sampling=SMALL_CLIPS, memory=ByteBudget(1))
    for item in reader:
        if isinstance(item, Clip):
            views.append(item.frames.pixels(0, 1))
            release(item)
    assert len(views) > 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV])
def test_a_decoder_that_dies_fails_its_video_and_nobody_else(
    film: Path, how: signal.Signals
) -> None:
    reader, clip, pid = started(film)
    os.kill(pid, how)
    release(clip)
    with pytest.raises(
        DecoderCrashed, match=rf"film\.mp4: the decoder process died \(signal {how.name}"
    ):
        next(reader)
    assert isinstance(next(read_clips(str(film))), Clip)


def test_a_decoder_that_hangs_is_ended_after_the_silence(film: Path) -> None:
    reader, clip, pid = started(film, silence_s=1.0)
    os.kill(pid, signal.SIGSTOP)
    release(clip)
    before = time.monotonic()
    with pytest.raises(DecoderCrashed, match="no sign of life for 1 s"):
        next(reader)
    assert time.monotonic() - before < 10
    assert pid not in decoders_of(os.getpid())


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_decoder_outlives_the_signals_that_ask_its_parent_to_finish(
    film: Path, how: signal.Signals
) -> None:
    reader, clip, pid = started(film)
    os.kill(pid, how)
    release(clip)
    assert isinstance(next(reader), Clip)
    reader.close()


def test_a_reader_that_is_closed_ends_its_process(film: Path) -> None:
    reader, _, pid = started(film)
    reader.close()
    assert pid not in decoders_of(os.getpid())


def test_a_reader_imports_no_codec(film: Path) -> None:
    program = f"""
import sys
from massannot.video.reader import read_clips
from massannot.video.sampling import Sampling
print(len(list(read_clips({str(film)!r}, sampling=Sampling()))), "av" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == ["2", "False"], done.stderr


def test_a_process_is_used_again(film: Path) -> None:
    list(read_clips(str(film)))
    (first,) = decoders_of(os.getpid())
    list(read_clips(str(film)))
    assert decoders_of(os.getpid()) == [first]


HOLDER = """
import sys, time
from massannot.video.byte_budget import ByteBudget
from massannot.video.reader import read_clips
from massannot.video.sampling import Sampling
sampling = Sampling(fps=None, max_frames=10)
reader = read_clips(sys.argv[1], sampling=sampling, memory=ByteBudget(1))
clip = next(reader)
print(len(clip), flush=True)
time.sleep(60)
"""


def test_when_the_parent_is_killed_its_decoder_goes_and_no_memory_stays(film: Path) -> None:
    names = set(os.listdir("/dev/shm"))
    parent = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(film)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"10\n"
    (decoder,) = decoders_of(parent.pid)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{decoder}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{decoder}").exists()
    assert set(os.listdir("/dev/shm")) <= names


def test_memory_does_not_grow_with_the_length_of_the_file(film: Path, long_film: Path) -> None:
    def walk(path: Path, span: Span) -> None:
        for item in read_clips(VideoSource(str(path), (span,)), sampling=Sampling(fps=None)):
            if isinstance(item, Clip):
                assert item.frames.pixels_THWC.any()
                release(item)

    walk(film, Span())
    (decoder,) = decoders_of(os.getpid())
    ours, theirs = rss_mb(), peak_mb(decoder)
    walk(long_film, Span())
    walk(long_film, Span(115.0, 118.0))  # everything before is decoded and dropped
    assert decoders_of(os.getpid()) == [decoder]
    assert peak_mb(decoder) - theirs < 30  # an allocator's warming up; it ends at 20
    assert rss_mb() - ours < 30  # at most two clips of 256 frames, 14 MB each, at a time
    assert "massannot-pixels" not in Path("/proc/self/maps").read_text()
