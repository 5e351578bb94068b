"""Folders and buckets answer alike; the first writer wins; an unwell server is waited for."""

import threading

import pytest

from massannot.errors import NothingToRun, UsageError
from massannot.storage import object_store
from massannot.storage.store import StoreRefused, StoreSilent, is_remote, store_of
from tests import s3_server


@pytest.fixture(scope="module")
def server():
    with s3_server.running("bucket") as found:
        yield found


@pytest.fixture(params=["folder", "bucket"])
def root(request, tmp_path):
    if request.param == "folder":
        return f"{tmp_path}/"
    request.getfixturevalue("server")
    return f"s3://bucket/{tmp_path.name}/"


ODD_NAMES = ["plain.mp4", "with space & more.mp4", "deep/er/hash#100%.mp4", "Ünï/日本.mp4"]


def test_what_was_put_is_listed_and_read_back(root):
    store = store_of(root)
    for number, name in enumerate(ODD_NAMES):
        store.put(root + name, bytes([number]) * (number + 1))
    entries = list(store.list(root))
    assert [entry.uri for entry in entries] == sorted(root + name for name in ODD_NAMES)
    for entry in entries:
        content = store.get(entry.uri)
        assert (len(content), store.head(entry.uri)) == (entry.size_bytes, entry)
    assert [e.uri for e in store.list(f"{root}deep")] == [f"{root}deep/er/hash#100%.mp4"]
    assert list(store.list(f"{root}dee")) == []


def test_a_file_is_read_in_pieces(root):
    store, content = store_of(root), bytes(range(256)) * 2000
    store.put(f"{root}name", content)
    assert store.get_range(f"{root}name", 1000, 7) == content[1000:1007]
    assert store.get_range(f"{root}name", len(content) - 3, 100) == content[-3:]
    with store.open(f"{root}name") as file:
        assert (file.seek(-5, 2), file.read()) == (len(content) - 5, content[-5:])
        assert (file.seek(300_000), file.read(4)) == (300_000, content[300_000:300_004])


def test_files_travel_whole(root, tmp_path):
    content = bytes(range(256)) * (9 << 12)  # 9 MiB: in several parts
    (tmp_path / "from").write_bytes(content)
    store = store_of(root)
    store.upload(tmp_path / "from", f"{root}a/b")
    store.copy(f"{root}a/b", f"{root}c/d")
    assert store.download(f"{root}c/d", tmp_path / "to") == store.head(f"{root}c/d")
    assert (tmp_path / "to").read_bytes() == content


def test_what_is_written_over_has_another_entry(root):
    store = store_of(root)
    store.put(f"{root}name", b"old")
    before = store.head(f"{root}name")
    store.put(f"{root}name", b"new")
    assert (store.get(f"{root}name"), store.head(f"{root}name") == before) == (b"new", False)


def test_what_is_not_there_is_named_and_may_be_deleted(root):
    store = store_of(root)
    for call in (store.head, store.get, store.open):
        with pytest.raises(FileNotFoundError, match="gone"):
            call(f"{root}gone")
    store.delete(f"{root}gone")
    store.put(f"{root}name", b"x")
    store.delete(f"{root}name")
    assert list(store.list(root)) == []


def one_winner(store, uri, n_writers):
    gate, won = threading.Barrier(n_writers), []

    def write(number):
        gate.wait()
        if store.put_once(uri, bytes([number])):
            won.append(number)

    writers = [threading.Thread(target=write, args=(n,)) for n in range(n_writers)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    return [store.get(uri)] == [bytes([number]) for number in won]


@pytest.mark.parametrize("n_names", [5, pytest.param(50, marks=pytest.mark.faults)])
def test_of_16_writers_of_one_name_exactly_one_wins(server, tmp_path, n_names):
    store = store_of("s3://bucket/")
    uris = [f"s3://bucket/{tmp_path.name}/{number}" for number in range(n_names)]
    assert [one_winner(store, uri, 16) for uri in uris] == [True] * n_names


@pytest.mark.parametrize(
    "codes",
    [
        pytest.param([500], id="once"),
        pytest.param([503, 500, 503, 429], id="for a while"),
        pytest.param([503] * 12, id="longer than the library tries"),
    ],
)
def test_an_unwell_store_is_waited_for(server, monkeypatch, codes):
    monkeypatch.setattr(object_store.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(object_store, "_MAX_RETRIES", 3)
    store = object_store.ObjectStore("s3", "bucket")
    for call in (
        lambda: store.put("s3://bucket/name", b"x"),
        lambda: store.get("s3://bucket/name"),
        lambda: store.head("s3://bucket/name"),
        lambda: list(store.list("s3://bucket/")),
    ):
        server.fail(*codes)
        call()
    assert store.get("s3://bucket/name") == b"x"


def test_a_writer_whose_answer_was_lost_has_won(server, tmp_path):
    uri = f"s3://bucket/{tmp_path.name}"
    server.fail(500, after_doing_it=True)
    assert store_of(uri).put_once(uri, b"mine")
    assert not store_of(uri).put_once(uri, b"another's")


def test_a_store_that_stays_silent_ends_the_command(server, monkeypatch):
    monkeypatch.setattr(object_store, "_MAX_RETRIES", 0)
    monkeypatch.setattr(object_store, "FIRST_PATIENCE_S", 0.1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    store = object_store.ObjectStore("s3", "bucket")
    with pytest.raises(StoreSilent, match=r"s3://bucket/name: the store did not answer for 0\.1 s"):
        store.get("s3://bucket/name")


def test_a_bucket_that_is_not_there_is_said_at_once(server):
    store = store_of("s3://no-such-bucket/x")
    for call in (store.get, store.list, lambda uri: store.put(uri, b"x")):
        with pytest.raises(StoreRefused, match="s3://no-such-bucket/: found no such bucket"):
            list(call("s3://no-such-bucket/x") or ())


@pytest.mark.parametrize(
    ("uri", "secret"),
    [
        pytest.param("s3://me:hunter2@bucket/x.mp4", "hunter2", id="user and password"),
        pytest.param("https://b/x?X-Amz-Signature=abc123&y=1", "abc123", id="a signed address"),
        pytest.param("gs://b/x?x-goog-signature=abc123", "abc123", id="one of Google's"),
        pytest.param("s3://b/AKIAABCDEFGHIJKLMNOP/x", "AKIAABCDEFGHIJKLMNOP", id="an access key"),
        pytest.param("hf://datasets/hf_abcdefghijklmn/x", "hf_abcdefghijklmn", id="a hub token"),
    ],
)
def test_an_address_with_credentials_is_refused_without_repeating_them(uri, secret):
    with pytest.raises(UsageError, match="found credentials") as caught:
        store_of(uri)
    assert secret not in str(caught.value)


@pytest.mark.parametrize("uri", ["ftp://host/x", "https://host/x.mp4"])
def test_an_address_of_another_kind_is_refused(uri):
    with pytest.raises(UsageError, match="expected a path, s3://, gs:// or hf://"):
        store_of(uri)


def test_no_message_names_a_credential(server, monkeypatch):
    monkeypatch.setattr(object_store, "_MAX_RETRIES", 0)
    monkeypatch.setattr(object_store, "FIRST_PATIENCE_S", 0.0)
    store = object_store.ObjectStore("s3", "bucket")
    for code in (400, 401, 403, 500):
        server.fail(code)
        with pytest.raises(NothingToRun) as caught:
            store.get("s3://bucket/name")
        assert s3_server.SECRET not in str(caught.value)
        assert s3_server.KEY not in str(caught.value)


def test_what_is_remote():
    names = ["a.mp4", "/a:b.mp4", "C:/x", "file:///a", "s3://b/a", "gs://b/a", "hf://datasets/a/b"]
    assert [is_remote(name) for name in names] == [False] * 4 + [True] * 3
