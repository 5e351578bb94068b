"""What the Ray executor refuses before anything is started."""

import pytest

from massannot.dataset.layout import WORK_DIR, Layout
from massannot.engine import ray
from massannot.errors import UsageError


@pytest.mark.parametrize(
    ("out", "n_machines", "work_dir", "refused"),
    [
        pytest.param("s3://bucket/out", 2, None, True, id="a bucket, every machine its own folder"),
        pytest.param("s3://bucket/out", 2, "shared", False, id="a bucket and a shared folder"),
        pytest.param("s3://bucket/out", 1, None, False, id="a bucket and one machine"),
        pytest.param("out", 2, None, False, id="a shared file system"),
    ],
)
def test_machines_that_do_not_see_each_others_journals_are_refused(
    monkeypatch, tmp_path, out, n_machines, work_dir, refused
):
    monkeypatch.delenv(WORK_DIR, raising=False)
    if work_dir:
        monkeypatch.setenv(WORK_DIR, str(tmp_path / work_dir))
    layout = Layout(out if "://" in out else tmp_path / out)
    if not refused:
        ray._refuse_scattered(layout, n_machines)
        return
    with pytest.raises(UsageError, match=r"2 machines needs a working folder.*--work-dir"):
        ray._refuse_scattered(layout, n_machines)


def test_a_machine_that_cannot_start_a_worker_is_not_taken_for_a_lost_one():
    exceptions = pytest.importorskip("ray.exceptions")
    failed = exceptions.RayTaskError("_Relay.__init__", "Traceback", FileExistsError("logs"))
    assert ray._exit_code_of(exceptions.ActorDiedError(failed)) == 1
    assert ray._exit_code_of(exceptions.ActorDiedError()) is None
    assert ray._exit_code_of(exceptions.ActorUnavailableError("gone", b"1" * 16)) is None
