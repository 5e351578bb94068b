"""Files appear whole or not at all, and of two writers of one name the first wins."""

import threading

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
