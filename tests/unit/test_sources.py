"""What a user types becomes a list of videos, in an order that names alone decide."""

import os

import pytest

from massannot.errors import UsageError
from massannot.inputs.sources import chosen, find


def names_in(sources):
    """Every address that the sources name, with and without rows."""
    found = find(sources)
    return [*found.videos, *(row.uri for row in found.rows)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.mp4", "a.MOV", "notes.txt", ".hidden.mp4", "deep/er/c.webm", ".git/d.mp4"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    os.symlink(tmp_path / "b.mp4", tmp_path / "deep" / "link.mp4")
    (tmp_path / "list.txt").write_text("\ufeffb.mp4\n\n# a comment\ndeep/er\ngone.mp4\n")
    (tmp_path / "nothing.txt").write_text("# only a comment\n")
    (tmp_path / "nested.txt").write_text("@list.txt\n")
    (tmp_path / "picture.bin").write_bytes(b"\xff\xfe\x00\xd8")
    return tmp_path


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        pytest.param(["b.mp4"], ["b.mp4"], id="a file"),
        pytest.param(["notes.txt"], ["notes.txt"], id="a file named outright may end in anything"),
        pytest.param(["deep"], ["deep/er/c.webm", "deep/link.mp4"], id="a folder and below"),
        pytest.param(["."], ["./a.MOV", "./b.mp4", "./deep/er/c.webm"], id="not what is hidden"),
        pytest.param(["*.m*"], ["b.mp4"], id="a glob, as the shell would"),
        pytest.param(["**/*.webm"], ["deep/er/c.webm"], id="a deep glob"),
        pytest.param(["@list.txt"], ["b.mp4", "deep/er/c.webm", "gone.mp4"], id="a list"),
        pytest.param(
            ["b.mp4", "./b.mp4", "."], ["b.mp4", "./a.MOV", "./deep/er/c.webm"], id="once"
        ),
        pytest.param(["a.MOV", "deep/link.mp4", "b.mp4"], ["a.MOV", "deep/link.mp4"], id="a link"),
        pytest.param(["file with [brackets].mp4"], ["file with [brackets].mp4"], id="a name"),
    ],
)
def test_sources_become_videos(folder, sources, expected):
    (folder / "file with [brackets].mp4").write_bytes(b"x")
    if "." in sources:
        expected = [*expected, "./file with [brackets].mp4"]
    elif sources == ["*.m*"]:
        expected = [*expected, "file with [brackets].mp4"]
    assert names_in(sources) == expected


def test_a_link_to_itself_is_no_folder(folder):
    os.symlink("round", folder / "deep" / "round")
    assert list(names_in(["deep"])) == ["deep/er/c.webm", "deep/link.mp4"]


def test_a_folder_above_the_videos_may_have_a_name_that_is_not_utf_8(tmp_path, monkeypatch):
    above = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(above)
    (tmp_path / "link").symlink_to(os.fsdecode(above))
    for name in (b"a.mp4", b"b.mp4"):
        with open(above + b"/" + name, "wb") as video:
            video.write(b"x")
    monkeypatch.chdir(os.fsdecode(above))
    assert list(names_in(["a.mp4", "./a.mp4", "b.mp4"])) == ["a.mp4", "b.mp4"]
    link = f"{tmp_path}/link"
    assert list(names_in(["b.mp4", link])) == ["b.mp4", f"{link}/a.mp4"]


def test_a_list_elsewhere_names_files_beside_itself(folder, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    first, *_ = names_in([f"@{folder}/list.txt"])
    assert first == f"{folder}/b.mp4"


def test_limit_takes_the_first(folder):
    assert chosen(find(["."]).videos, limit=2) == ["./a.MOV", "./b.mp4"]


def test_one_bad_name_of_a_list_is_a_row_with_a_problem_and_the_rest_goes_on(folder):
    lines = [b"b.mp4", b"caf\xe9.mp4", b"nu\0l.mp4", b"x" * 300 + b".mp4", b"gone.mp4"]
    (folder / "l.txt").write_bytes(b"\n".join(lines))
    found = find(["@l.txt"])
    assert list(found.videos) == ["b.mp4", "gone.mp4"]
    assert [(row.uri, row.problem.reason) for row in found.rows] == [
        (f"@l.txt, entry {number}", "impossible_name") for number in (2, 3, 4)
    ]
    messages = [row.problem.message for row in found.rows]
    assert "caf\\udce9.mp4" in messages[0]
    assert "nu\\0l.mp4: found a name with the character NUL" in messages[1]
    assert "304 bytes" in messages[2]


@pytest.mark.parametrize("source", ["videos", "videos/*.mp4"])
def test_one_bad_name_of_a_folder_is_a_row_with_a_problem_and_the_rest_goes_on(folder, source):
    os.mkdir("videos")
    for name in (b"a.mp4", b"caf\xe9.mp4", b"z.mp4"):
        with open(os.path.join(b"videos", name), "wb") as video:
            video.write(b"x")
    found = find([source])
    assert list(found.videos) == ["videos/a.mp4", "videos/z.mp4"]
    (row,) = found.rows
    assert (row.uri, row.problem.reason) == ("videos/caf\\udce9.mp4", "impossible_name")


@pytest.mark.parametrize(
    ("sources", "says"),
    [
        pytest.param([], "no video was named", id="nothing"),
        pytest.param(["gone.mp4"], "gone.mp4: no such file", id="a file that is not there"),
        pytest.param(["empty"], r"empty: no video in this folder; looked for \.3gp", id="empty"),
        pytest.param(["*.xyz"], "matches no file", id="a glob that matches nothing"),
        pytest.param(["caf\udce9.mp4"], "not UTF-8; rename it", id="a name that is no UTF-8"),
        pytest.param(["ftp://b/c.mp4"], "found an address of ftp", id="an address"),
        pytest.param(["@gone.txt"], "@gone.txt: cannot be read", id="a list that is not there"),
        pytest.param(["@nothing.txt"], "names no video", id="a list without videos"),
        pytest.param(["@nested.txt"], "entry 1: a list cannot name another", id="a list of lists"),
        pytest.param(["@picture.bin"], "cannot be read as a list", id="not a text"),
    ],
)
def test_what_is_wrong_is_named(folder, sources, says):
    with pytest.raises(UsageError, match=says):
        names_in(sources)
