"""An errand on the command line ends as it was asked to."""

import os
import signal

import pytest

from massannot.jobs import outcome


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_asked_to_stop_before_anything_runs_the_code_is_75(number, capsys):
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as ended:
        outcome.run_and_print(lambda: os.kill(os.getpid(), number), as_json=False)
    assert ended.value.code == outcome.INTERRUPTED
    assert "the same command continues" in capsys.readouterr().err
    assert signal.getsignal(number) is before
