"""Videos in buckets, tars and folders of others: found by name, with their ids and captions, and
read where they lie."""

import io
import json
import os
import tarfile
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from massannot import tables
from massannot.dataset.layout import Layout
from massannot.errors import BadVideo, UsageError, VideoChanged, VideoNotFound
from massannot.inputs.manifest import read_manifests
from massannot.inputs.sources import chosen, find
from massannot.inputs.span import VideoSource
from massannot.plan.join_questions import planned_videos
from massannot.storage import fetch, tar_store
from massannot.storage.store import store_of
from massannot.video.film_encoder import FilmWriter
from massannot.video.header import HEADER_BYTES
from massannot.video.reader import VideoEnd, probe, read_clips, release
from massannot.video.sampling import Sampling
from tests import s3_server


def names_in(sources):
    """Every address that the sources name, with and without rows."""
    found = find(sources)
    return [*found.videos, *(row.uri for row in found.rows)]


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    with FilmWriter(path, width=32, height=32, fps=Fraction(8)) as writer:
        for frame in range(8):
            writer.write(np.full((32, 32, 3), 20 * frame, np.uint8))
    return path


@pytest.fixture(scope="module")
def server():
    with s3_server.running("bucket") as found:
        yield found


@pytest.fixture(params=["folder", "bucket"])
def root(request, tmp_path):
    """Where files lie; its address ends in no slash."""
    if request.param == "folder":
        return str(tmp_path)
    request.getfixturevalue("server")
    return f"s3://bucket/{tmp_path.name}"


def tar_of(**members: bytes) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, value in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(value)
            tar.addfile(info, io.BytesIO(value))
    return content.getvalue()


def names(root, found):
    return [uri.removeprefix(f"{root}/") for uri in found]


FILES = ("b.mp4", "a.MOV", "notes.txt", "deep/er/c.webm", ".hidden.mp4", "x/00.mp4", "x/01.mp4")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("", ["a.MOV", "b.mp4", "deep/er/c.webm", "x/00.mp4", "x/01.mp4"], id="all"),
        pytest.param("/", ["a.MOV", "b.mp4", "deep/er/c.webm", "x/00.mp4", "x/01.mp4"], id="/"),
        pytest.param("/b.mp4", ["b.mp4"], id="a file"),
        pytest.param("/notes.txt", ["notes.txt"], id="a file that may end in anything"),
        pytest.param("/deep", ["deep/er/c.webm"], id="a folder"),
        pytest.param("/*.m*", ["b.mp4"], id="a glob stops at a slash"),
        pytest.param("/**/*.webm", ["deep/er/c.webm"], id="a deep glob"),
        pytest.param("/x/0[1-9].mp4", ["x/01.mp4"], id="a class"),
        pytest.param("/x/{00..01}.mp4", ["x/00.mp4", "x/01.mp4"], id="numbers"),
        pytest.param("/{b.mp4,x}", ["b.mp4", "x/00.mp4", "x/01.mp4"], id="words"),
    ],
)
def test_one_syntax_for_folders_and_buckets(root, source, expected):
    for name in FILES:
        store_of(root).put(f"{root}/{name}", b"x")
    found = names_in([f"{root}{source}"])
    assert names(root, (uri.replace(f"{root}//", f"{root}/") for uri in found)) == expected


def test_a_list_and_a_manifest_name_files_beside_themselves(root):
    store = store_of(root)
    store.put(f"{root}/a/v.mp4", b"x")
    store.put(f"{root}/list.txt", b"a/v.mp4\n# no\na/gone.mp4\n")
    store.put(f"{root}/rows.csv", b"video,id,caption\na/v.mp4,7,a ball\n")
    assert names(root, names_in([f"@{root}/list.txt"])) == ["a/v.mp4", "a/gone.mp4"]
    manifests = find([f"{root}/rows.csv"]).manifests
    (row,) = read_manifests(manifests)
    assert (row.uri, row.source_id, row.caption) == (f"{root}/a/v.mp4", "7", "a ball")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        pytest.param("gone/", "gone/: no such file or folder", id="nothing there"),
        pytest.param("*.xyz", "matches no file", id="a glob that matches nothing"),
    ],
)
def test_what_is_not_in_a_bucket_is_named(server, source, says):
    with pytest.raises(UsageError, match=says):
        names_in([f"s3://bucket/nowhere/{source}"])


def test_a_sample_is_random_and_the_same_each_time():
    videos = [str(n) for n in range(100)]
    first = chosen(videos, limit=10, sample="random", seed=1)
    assert first == chosen(videos, limit=10, sample="random", seed=1)
    assert first != chosen(videos, limit=10, sample="random", seed=2)
    assert sorted(first, key=int) == first
    assert len(set(first)) == 10
    assert chosen(videos, limit=3) == ["0", "1", "2"]
    assert chosen(videos, limit=1000, sample="random") == videos


def test_a_tar_gives_its_videos_with_ids_and_captions(root):
    members = {
        "one.mp4": b"video one",
        "one.txt": b" a ball falls \n",
        "one.json": b'{"caption": "never seen", "fps": 8}',
        "deep/two.mp4": b"video two",
        "deep/two.json": b'{"text": "a box", "source": "y"}',
        "three.left.mp4": b"left",
        "three.left.txt": b"from the left",
        "three.txt": b"from anywhere",
        "three.right.mp4": b"right",
        "four.jpg": b"no video",
        "five.mp4": b"no caption",
        "five.json": b"no json",
    }
    store_of(root).put(f"{root}/000.tar", tar_of(**members))
    rows = find([f"{root}/000.tar"]).rows
    said = [(r.uri.partition("#")[2], r.source_id, r.caption, r.further) for r in rows]
    assert said == [
        ("deep/two.mp4", "deep/two", "a box", '{"source": "y"}'),
        ("five.mp4", "five", None, None),
        ("one.mp4", "one", "a ball falls", '{"caption": "never seen", "fps": 8}'),
        ("three.left.mp4", "three.left", "from the left", None),
        ("three.right.mp4", "three.right", "from anywhere", None),
    ]
    for row in rows:
        name = row.uri.partition("#")[2]
        assert store_of(row.uri).get(row.uri) == members[name]
        assert store_of(row.uri).get_range(row.uri, 2, 100) == members[name][2:]


def test_names_with_dots_and_endings_in_capitals_have_their_captions(tmp_path):
    members = {
        "clip2.0.mp4": b"one",
        "clip2.0.txt": b"a box moves",
        "clip2.5.MP4": b"two",
        "clip2.5.Json": b'{"caption": "a box rests", "fps": 8}',
        "v1.2.3.webm": b"three",
        "v1.2.3.TXT": b"a box falls",
        "same.mp4": b"four",
        "same.webm": b"five",
        "same.txt": b"a box",
    }
    (tmp_path / "t.tar").write_bytes(tar_of(**members))
    rows = find([f"{tmp_path}/t.tar"]).rows
    assert [(row.question_id, row.caption, row.further) for row in rows] == [
        ("clip2.0", "a box moves", None),
        ("clip2.5", "a box rests", '{"fps": 8}'),
        ("same.mp4", "a box", None),
        ("same.webm", "a box", None),
        ("v1.2.3", "a box falls", None),
    ]


def test_bad_text_in_a_tar_is_a_row_with_a_problem_and_the_rest_goes_on(tmp_path):
    members = {
        "bytes.mp4": b"x",
        "bytes.txt": b"caf\xe9",
        "good.mp4": b"x",
        "good.txt": "a café 😀".encode(),
        "half.mp4": b"x",
        "half.json": b'{"caption": "a ball \\ud83d"}',
        "further.mp4": b"x",
        "further.json": b'{"caption": "a ball", "by \\ud83d": 1}',
        "name\udce9.mp4": b"x",
    }
    (tmp_path / "t.tar").write_bytes(tar_of(**members))
    rows = {row.question_id: row for row in find([f"{tmp_path}/t.tar"]).rows}
    problems = {name: row.problem and row.problem.reason for name, row in rows.items()}
    assert problems == {
        "bytes": "not_unicode",
        "further": "not_unicode",
        "good": None,
        "half": "not_unicode",
        "name\\udce9": "impossible_name",
    }
    assert rows["half"].caption == "a ball \\ud83d"  # spelt out, as tables can hold it
    assert rows["good"].caption == "a café 😀"
    assert "caption" in rows["bytes"].problem.message
    tables.spec("questions").from_rows([row.row() for row in rows.values()])


def test_tars_in_braces_and_in_a_folder_are_all_read(root):
    for number in range(3):
        content = tar_of(**{f"{number}.mp4": b"x", "same.mp4": b"y"})
        store_of(root).put(f"{root}/t-{number:02d}.tar", content)
    expected = [f"{root}/t-{n:02d}.tar#{name}.mp4" for n in range(3) for name in (n, "same")]
    assert list(names_in([f"{root}/t-{{00..02}}.tar"])) == expected
    assert list(names_in([root])) == expected
    ids = [row.question_id for row in find([root]).rows]
    assert ids == ["0", "same", "1", "t-01.tar/same", "2", "t-02.tar/same"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"no tar at all" * 100, "cannot be read as a tar", id="no tar"),
        pytest.param(tar_of(a=b"x"), "no video in this tar", id="no video"),
    ],
)
def test_a_tar_without_videos_is_refused(tmp_path, content, says):
    (tmp_path / "x.tar").write_bytes(content)
    with pytest.raises(UsageError, match=says):
        find([str(tmp_path / "x.tar")])


def test_a_cosmos_curate_folder_gives_uuids_and_captions(root):
    store = store_of(root)
    windows = [
        {"start_frame": 256, "end_frame": 300, "qwen_caption": "then it stops"},
        {"start_frame": 0, "qwen_enhanced_caption": "longer", "qwen_caption": "a ball rolls"},
    ]
    metas = {
        "u1": {"span_uuid": "u1", "source_video": "s.mp4", "windows": windows, "valid": True},
        "u2": {"span_uuid": "u2", "windows": [{"start_frame": 0, "x_enhanced_caption": "a box"}]},
    }
    for uuid in ("u1", "u2", "u3"):
        store.put(f"{root}/clips/{uuid}.mp4", uuid.encode())
    store.put(f"{root}/filtered_clips/u9.mp4", b"x")
    store.put(f"{root}/metas/v0/u1.json", json.dumps(metas["u1"]).encode())
    store.put(f"{root}/metas_jsonl/v0/v_0.jsonl", json.dumps(metas["u2"]).encode() + b"\n")
    rows = find([f"{root}/"]).rows
    assert [(row.uri, row.source_id, row.caption) for row in rows] == [
        (f"{root}/clips/u1.mp4", "u1", "a ball rolls\nthen it stops"),
        (f"{root}/clips/u2.mp4", "u2", "a box"),
        (f"{root}/clips/u3.mp4", "u3", None),
    ]
    assert rows[0].further == '{"source_video": "s.mp4"}'
    planned = planned_videos((), rows, prompts=())
    assert [video.spans[0].source_id for video in planned] == ["u1", "u2", "u3"]
    assert [phrase.text for phrase in planned[1].spans[0].phrases] == ["box"]


def test_bad_text_in_a_cosmos_curate_folder_is_a_row_with_a_problem(root):
    store = store_of(root)
    metas = [{"span_uuid": u, "windows": [{"x_caption": c}]} for u, c in (("u1", "a"), ("u2", "b"))]
    lines = [json.dumps(metas[0]), json.dumps(metas[1]).replace('"b"', '"b \\ud83d"')]
    for uuid in ("u1", "u2"):
        store.put(f"{root}/clips/{uuid}.mp4", uuid.encode())
    store.put(f"{root}/metas_jsonl/v0/v_0.jsonl", "\n".join(lines).encode())
    good, bad = find([f"{root}/"]).rows
    assert (good.caption, good.problem) == ("a", None)
    assert (bad.caption, bad.problem.reason) == ("b \\ud83d", "not_unicode")


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        pytest.param("in/a.mp4", True, id="below"),
        pytest.param("in/../in/a.mp4", True, id="there and back"),
        pytest.param("out.mp4", False, id="beside"),
        pytest.param("in/../out.mp4", False, id="dots"),
        pytest.param("/etc/passwd", False, id="absolute"),
        pytest.param("in/link.mp4", False, id="a link that leads out"),
        pytest.param("in-too/a.mp4", False, id="a folder whose name begins the same"),
        pytest.param("s3://bucket/a.mp4", False, id="a bucket"),
        pytest.param("file:///etc/passwd", False, id="a file address"),
    ],
)
def test_no_manifest_leads_out_of_root(tmp_path, name, inside):
    for path in ("in/a.mp4", "out.mp4", "in-too/a.mp4"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(b"x")
    os.symlink(tmp_path / "out.mp4", tmp_path / "in" / "link.mp4")
    (tmp_path / "m.csv").write_text(f"video\n{name}\n")
    (row,) = read_manifests([str(tmp_path / "m.csv")], root=str(tmp_path / "in"))
    assert (row.problem is None) == inside
    assert os.path.exists(row.uri) == inside
    if not inside:
        assert row.problem.reason == "outside_root"
        assert row.uri == "m.csv, row 1: its video lies outside of --root"


def test_no_manifest_leads_out_of_a_root_in_a_bucket(tmp_path):
    uris = ["s3://b/in/a.mp4", "s3://b/in/../x.mp4", "s3://b/inn/a.mp4", "s3://c/in/a.mp4", "a.mp4"]
    (tmp_path / "m.csv").write_text(
        "video,id\n" + "".join(f"{x},{n}\n" for n, x in enumerate(uris))
    )
    rows = read_manifests([str(tmp_path / "m.csv")], root="s3://b/in/")
    assert [row.problem is None for row in rows] == [True, False, False, False, False]


SECRET = "hunter2"


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda uri, folder: find([uri]), id="a source"),
        pytest.param(lambda uri, folder: find([f"@{uri}"]), id="a list's own address"),
        pytest.param(lambda uri, folder: find([f"@{folder}/list.txt"]), id="a line of a list"),
        pytest.param(lambda uri, folder: read_manifests([f"{folder}/m.csv"]), id="a row"),
        pytest.param(lambda uri, folder: Layout(uri), id="an output folder"),
        pytest.param(lambda uri, folder: Layout(Path(uri)), id="an output folder as a path"),
    ],
)
@pytest.mark.parametrize(
    "uri",
    [f"s3://me:{SECRET}@bucket/v.mp4", f"s3://bucket/v.mp4?X-Amz-Signature={SECRET}"],
    ids=["user and password", "a signature"],
)
def test_credentials_in_an_address_are_refused_and_not_repeated(tmp_path, ask, uri):
    (tmp_path / "list.txt").write_text(f"{uri}\n")
    (tmp_path / "m.csv").write_text(f"video\n{uri}\n")
    with pytest.raises(UsageError, match="found credentials in an address") as caught:
        ask(uri, tmp_path)
    assert SECRET not in str(caught.value)


SAMPLING = Sampling(fps=None, clip_s=0.5)


def clips_of(uri, **state):
    """(clip ids and pixels, the video) of everything read."""
    clips, end = [], None
    for found in read_clips(VideoSource(uri, **state), sampling=SAMPLING):
        if isinstance(found, VideoEnd):
            end = found
        else:
            clips.append((found.clip_id, found.frames.pixels_THWC.tobytes()))
            release(found)
    return clips, end.video


@pytest.fixture(params=["bucket", "tar in a bucket", "tar in a folder"])
def elsewhere(request, film, tmp_path):
    content = tar_of(**{"before.txt": b"y" * 700, "film.mp4": film.read_bytes(), "z.mp4": b"z"})
    if request.param == "tar in a folder":
        (tmp_path / "t.tar").write_bytes(content)
        return f"{tmp_path}/t.tar#film.mp4"
    request.getfixturevalue("server")
    root = f"s3://bucket/{tmp_path.name}"
    store_of(root).put(f"{root}/t.tar", content)
    store_of(root).put(f"{root}/film.mp4", film.read_bytes())
    return f"{root}/film.mp4" if request.param == "bucket" else f"{root}/t.tar#film.mp4"


def test_what_lies_elsewhere_is_read_as_if_it_lay_here(elsewhere, film):
    here, video_here = clips_of(str(film))
    entry = store_of(elsewhere).head(elsewhere)
    there, video = clips_of(elsewhere, size_bytes=entry.size_bytes, etag=entry.etag)
    assert (len(there), there) == (2, here)
    assert (video.uri, video.video_id) == (elsewhere, video_here.video_id)
    header, header_here = probe(elsewhere), probe(str(film))
    assert replace(header, mtime_ns=0) == replace(header_here, mtime_ns=0)
    assert list(fetch._folder().iterdir()) == []


def test_what_changed_since_planning_is_a_failure(elsewhere, film):
    entry = store_of(elsewhere).head(elsewhere)
    with pytest.raises(VideoChanged, match=r"film\.mp4: found .* as planned; plan again"):
        clips_of(elsewhere, size_bytes=entry.size_bytes + 1, etag=entry.etag)
    other = bytearray(film.read_bytes())
    other[-1] ^= 1  # of the same size
    if tar_store.is_member(elsewhere):
        tar, _ = tar_store.split(elsewhere)
        store_of(tar).put(tar, tar_of(**{"before.txt": b"Y" * 700, "film.mp4": bytes(other)}))
    else:
        store_of(elsewhere).put(elsewhere, bytes(other))
    with pytest.raises(VideoChanged, match="found version"):
        clips_of(elsewhere, size_bytes=entry.size_bytes, etag=entry.etag)
    assert list(fetch._folder().iterdir()) == []


def test_what_is_not_there_any_more_is_a_failure(server, tmp_path):
    (tmp_path / "t.tar").write_bytes(tar_of(a=b"x"))
    for uri in ("s3://bucket/gone.mp4", f"{tmp_path}/t.tar#gone.mp4", f"{tmp_path}/u.tar#x.mp4"):
        for read in (probe, clips_of):
            with pytest.raises(VideoNotFound, match="found nothing"):
                read(uri)


def test_a_video_in_a_tar_that_has_become_something_else_is_a_failure(tmp_path):
    tar = tmp_path / "t.tar"
    tar.write_bytes(tar_of(a=b"x"))
    planned = store_of(f"{tar}#a").head(f"{tar}#a")
    tar.write_bytes(b"no tar" * 200)
    for read in (probe, clips_of):
        with pytest.raises(BadVideo, match="cannot be read as a tar"):
            read(planned.uri)
    with (
        pytest.raises(BadVideo, match="cannot be read as a tar"),
        fetch.fetched(planned.uri, size_bytes=planned.size_bytes, etag=planned.etag),
    ):
        pass


def test_a_video_that_may_not_be_read_is_a_failure(server):
    server.fail(403)
    with pytest.raises(BadVideo, match="the store refuses access"):
        clips_of("s3://bucket/secret.mp4")


@pytest.mark.parametrize("faststart", [True, False])
def test_a_header_costs_less_than_three_mebibytes(server, tmp_path, faststart):
    path = tmp_path / "long.mp4"
    rng = np.random.default_rng(0)
    options = {"movflags": "faststart"} if faststart else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("mpeg4", rate=8)
        stream.width, stream.height, stream.bit_rate = 640, 480, 60_000_000
        for _ in range(24):
            picture = rng.integers(0, 256, (480, 640, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    assert path.stat().st_size > 2 * HEADER_BYTES
    uri = f"s3://bucket/{tmp_path.name}.mp4"
    store_of(uri).upload(path, uri)
    before = server.sent_bytes
    header = probe(uri)
    assert header.duration_s == probe(str(path)).duration_s
    assert server.sent_bytes - before < HEADER_BYTES


def test_what_dead_processes_left_behind_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch.tempfile, "gettempdir", lambda: str(tmp_path))
    fetch._folder.cache_clear()
    folder = tmp_path / f"massannot-fetched-{os.getuid()}"
    folder.mkdir()
    (folder / "4194305-dead").write_bytes(b"x")  # above the largest process number
    (folder / f"{os.getpid()}-ours").write_bytes(b"x")
    assert [path.name for path in fetch._folder().iterdir()] == [f"{os.getpid()}-ours"]
    fetch._folder.cache_clear()
