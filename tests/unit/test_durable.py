"""Files appear whole or not at all, and of two writers of one name the first wins."""

import subprocess
import sys
import threading

import pytest

from massannot.storage import durable


def test_the_first_writer_of_a_name_wins(tmp_path):
    path = tmp_path / "deep" / "name"
    assert durable.write_once(path, b"first")
    assert not durable.write_once(path, b"second")
    assert path.read_bytes() == b"first"


def test_of_many_writers_at_once_exactly_one_wins(tmp_path):
    path, gate, won = tmp_path / "name", threading.Barrier(16), []

    def write(number: int) -> None:
        source = tmp_path / f"source{number}"
        source.write_bytes(bytes([number]))
        gate.wait()
        if durable.link_once(source, path):
            won.append(number)

    writers = [threading.Thread(target=write, args=(n,)) for n in range(16)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [bytes([n]) for n in won] == [path.read_bytes()]


def test_what_is_written_over_is_replaced_and_leaves_nothing_beside(tmp_path):
    path = tmp_path / "name"
    durable.write_over(path, b"old")
    durable.write_over(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_process_that_ends_between_the_steps_of_a_replacement_leaves_nothing_beside_the_target(
    tmp_path,
):
    source, target = tmp_path / "staging" / "a", tmp_path / "data" / "b"
    for path, content in ((source, b"new"), (target, b"old")):
        durable.write_over(path, content)
    killed = (
        "import os, sys; from pathlib import Path; from massannot.storage import durable\n"
        "os.replace = lambda *_: os._exit(9)\n"
        "durable.link_over(*map(Path, sys.argv[1:]))"
    )
    ended = subprocess.run([sys.executable, "-c", killed, str(source), str(target)], check=False)
    assert ended.returncode == 9
    assert list(target.parent.iterdir()) == [target]
    assert target.read_bytes() == b"old"
    durable.link_over(source, target)
    assert target.read_bytes() == b"new"


def test_a_replacement_makes_the_folder_of_a_first_file_but_none_of_a_source_that_is_gone(tmp_path):
    source, target = tmp_path / "staging" / "a", tmp_path / "data" / "b"
    with pytest.raises(FileNotFoundError):
        durable.link_over(source, target)
    assert list(tmp_path.iterdir()) == []
    durable.write_over(source, b"new")
    durable.link_over(source, target)
    assert target.read_bytes() == b"new"
    assert list(source.parent.iterdir()) == [source]
