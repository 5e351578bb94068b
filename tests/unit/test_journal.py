"""What a journal remembers: clips with whole parts, failures, and who died holding what."""

import pytest

from massannot import tables
from massannot.dataset.journal import (
    Begun,
    ClipKey,
    Died,
    Failed,
    Finished,
    Journal,
    VideoRead,
    is_whole,
    read_journal,
    read_part,
    read_past,
    write_part,
)
from massannot.dataset.layout import Layout
from tests.unit.small_dataset import small_tables

A0, A1 = ClipKey("a.mp4", 0), ClipKey("a.mp4", 1)
FAILED = Failed(A1, "detect", "model_failed", "message of\nseveral lines, ünïcode", "failed")


def written(layout: Layout, attempt: int, *events) -> None:
    with Journal(layout.journal("000000", attempt)) as journal:
        for event in events:
            journal.write(event)


def part_of(layout: Layout, attempt: int, name: str = "0000-000000.zip"):
    return write_part(layout.attempt("000000", attempt), name, small_tables(("clip-a",)))


def test_events_come_back_as_they_were_written(tmp_path):
    layout = Layout(tmp_path)
    part = part_of(layout, 1)
    events = [
        Begun(A0),
        Finished(A0, "clip-a", part),
        FAILED,
        VideoRead("a.mp4", 2, None),
        VideoRead("b.mp4", 2, part),
        Died(isolated=True, exit_code=-9),
    ]
    written(layout, 1, *events)
    assert list(read_journal(layout.journal("000000", 1))) == events


def test_a_torn_last_line_is_no_line_at_whatever_byte_it_was_torn(tmp_path):
    layout = Layout(tmp_path)
    written(layout, 1, Begun(A0), FAILED)
    path = layout.journal("000000", 1)
    whole = path.read_bytes()
    first_line = whole.index(b"\n") + 1
    for n_bytes in range(first_line, len(whole) - 1):
        path.write_bytes(whole[:n_bytes])
        assert list(read_journal(path)) == [Begun(A0)]


def test_what_is_appended_after_a_torn_line_is_read(tmp_path):
    layout = Layout(tmp_path)
    written(layout, 1, Begun(A0), FAILED)
    path = layout.journal("000000", 1)
    path.write_bytes(path.read_bytes()[:-10])
    written(layout, 1, Died(isolated=False, exit_code=-9))
    assert list(read_journal(path)) == [Begun(A0), Died(isolated=False, exit_code=-9)]


def test_a_later_attempt_knows_what_all_earlier_ones_settled(tmp_path):
    layout = Layout(tmp_path)
    part = part_of(layout, 1)
    written(layout, 1, Begun(A0), Finished(A0, "clip-a", part), Begun(A1))
    written(layout, 2, FAILED)
    past = read_past(layout, "000000")
    assert (past.is_settled(A0), past.is_settled(A1)) == (True, True)
    found = read_part(past.path_of(part), "masks")
    assert found.equals(small_tables(("clip-a",))["masks"])


def test_a_part_cut_at_any_byte_is_noticed(tmp_path):
    layout = Layout(tmp_path)
    part = part_of(layout, 1)
    folder = layout.attempt("000000", 1)
    whole = (folder / part.name).read_bytes()
    assert is_whole(folder, part)
    for n_bytes in range(0, len(whole), 97):
        (folder / part.name).write_bytes(whole[:n_bytes])
        assert not is_whole(folder, part)


@pytest.mark.parametrize("how", ["cut", "gone", "one bit"])
def test_a_clip_whose_part_is_not_whole_is_not_finished(tmp_path, how):
    layout = Layout(tmp_path)
    part = part_of(layout, 1)
    written(layout, 1, Finished(A0, "clip-a", part))
    path = layout.attempt("000000", 1) / part.name
    content = bytearray(path.read_bytes())
    if how == "gone":
        path.unlink()
    elif how == "cut":
        path.write_bytes(content[:-1])
    else:
        content[100] ^= 1
        path.write_bytes(content)
    assert not read_past(layout, "000000").is_settled(A0)


@pytest.mark.parametrize(
    ("events", "deaths", "elsewhere"),
    [
        pytest.param([Begun(A0), Died(True, -9)], {A0: 1}, 0, id="in its hands"),
        pytest.param([Begun(A0), FAILED, Died(True, -9)], {}, 1, id="after it had ended"),
        pytest.param([Begun(A0), Died(False, -9)], {}, 0, id="others were in flight"),
        pytest.param([Begun(A0)], {}, 0, id="its driver died too: nobody knows"),
        pytest.param([Died(True, -9)], {}, 1, id="no clip was begun"),
    ],
)
def test_only_an_isolated_death_with_a_clip_in_hand_counts_against_it(
    tmp_path, events, deaths, elsewhere
):
    layout = Layout(tmp_path)
    written(layout, 1, *events)
    past = read_past(layout, "000000")
    assert (dict(past.deaths), past.deaths_elsewhere) == (deaths, elsewhere)


def test_deaths_add_up_over_attempts(tmp_path):
    layout = Layout(tmp_path)
    for attempt in (1, 2):
        written(layout, attempt, Begun(A0), Died(isolated=True, exit_code=-11))
    assert read_past(layout, "000000").deaths == {A0: 2}


def test_a_part_holds_tables_without_rows(tmp_path):
    part = write_part(tmp_path, "p.zip", {"events": tables.spec("events").empty()})
    found = read_part(tmp_path / part.name, "events")
    assert found.equals(tables.spec("events").empty(), check_metadata=True)
