"""The page in a real browser: every action a person takes, from disk and from the server."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from massannot.cli import app
from massannot.dataset.reading import open_dataset
from massannot.jobs.drawing import report_of
from massannot.jobs.review import desk_of
from massannot.jobs.view import heading_of, served_dataset
from massannot.questions.ask.ask_dataset import Asking, ask
from massannot.questions.ask.asked_about import with_its_clips
from massannot.viewers import server
from massannot.viewers.film import paths
from massannot.viewers.served_dataset import ServedDataset
from massannot.viewers.server import query_of
from tests.asked_tables import write_asked_about
from tests.browser import Browser, Tab, browser
from tests.looked_at import N_FRAMES, centre, clip_id_of, write_film, write_looked_at

pytest.importorskip("starlette", reason="the server's library")
pytest.importorskip("uvicorn", reason="the server's library")

ENV = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
ACTS = (
    "window.hit=1", "alert(1)", "fetch('https://example.org')", "document.title='hit'",
    "location='https://example.org'",
)  # fmt: skip
SHELLS = (
    "<script>{}</script>",
    '"><script>{}</script>',
    "</script><script>{}</script>",
    '<img src=x onerror="{}">',
    "'><svg onload={}>",
    "javascript:{}",
    '<iframe srcdoc="<script>parent.{}</script>">',
    "\u2028{}//",
    "${{{}}}",
    "</title><style onload={}>",
)
HOSTILE = [shell.format(act) for act in ACTS for shell in SHELLS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve clips with plain names, then fifty with hostile ones."""
    out = tmp_path_factory.mktemp("looked") / "out"
    plain = [(f"clip {n}", "a red ball" if n % 2 else "a hoop") for n in range(12)]
    write_looked_at(out, plain + [(name, name) for name in HOSTILE])
    return out


@pytest.fixture(scope="module")
def running() -> Iterator[Browser]:
    with browser() as found:
        yield found


@pytest.fixture
def tab(running: Browser) -> Iterator[Tab]:
    made = running.tab()
    made.size(1300, 900)
    yield made
    assert made.errors == []
    assert made.dialogs == 0
    made.close()


@contextmanager
def command(*words: str, cwd: Path | None = None) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A massannot command that serves: its address and its process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "massannot", *words, "--no-open"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd, env=ENV,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), process.stderr and process.stderr.read()
        yield address, process
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


@contextmanager
def served(out: Path, reviewer: str | None = None) -> Iterator[str]:
    """The server in a thread of this process: its address. With a reviewer it hears decisions."""
    import uvicorn

    dataset = with_its_clips(out)
    desk = None
    if reviewer is not None:
        by = ("phrase", "quality")
        desk = desk_of(dataset, sample=6, by=by, seed=3, reviewer=reviewer)
    data = served_dataset(dataset) if desk is None else desk.served
    data.count_states()
    with socket.socket() as listening:
        listening.bind((server.HOST, 0))
        listening.listen()  # whoever is early waits for the server
        port = listening.getsockname()[1]
        app = server.app(data, heading_of(dataset), token="t" * 32, port=port, desk=desk)
        running = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://{server.HOST}:{port}/{'t' * 32}/"
        finally:
            running.should_exit = True
            thread.join(10)


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with served(folder) as found:
        yield found


def status(address: str, **headers: str) -> int:
    request = urllib.request.Request(address, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return int(error.code)


SAID = "document.querySelector('section > [role=status]').textContent"


def shown_names(tab: Tab) -> list[str]:
    return list(tab.js("[...document.querySelectorAll('.card b')].map(b => b.textContent)"))


def loaded_after(tab: Tab, act: str) -> None:
    """Do something to the list and wait until it has followed."""
    before = tab.until("document.body.dataset.loaded")  # else the first list would pass for it
    tab.js(act)
    tab.until(f"document.body.dataset.loaded !== {json.dumps(before)}")


def set_filter(tab: Tab, name: str, value: str) -> None:
    loaded_after(
        tab,
        f"(() => {{ const e = document.querySelector('[name={name}]'); e.value = "
        f"{json.dumps(value)}; e.dispatchEvent(new Event(e.tagName === 'SELECT' ? 'change' : "
        "'input')); })()",
    )


def test_a_clip_plays_scrubs_and_everything_follows(tab: Tab, address: str) -> None:
    tab.open(f"{address}clip/{clip_id_of(0)}")
    tab.until("massannot.player.video.readyState > 1")
    tab.key(" ")
    tab.until("massannot.player.frame > 4 && massannot.player.playing")
    tab.click(".controls button.primary")
    assert tab.js("massannot.player.playing") is False
    tab.key("Home")
    tab.key("ArrowRight")
    assert tab.js("document.querySelector('.stamp').textContent") == "frame 1, 0.10 s"
    tab.drag("canvas.lanes", [(0.1, 0.8), (0.62, 0.8)])
    assert tab.js("massannot.player.frame") == int(0.62 * N_FRAMES)
    tab.click("ul.events button")
    assert tab.js("massannot.player.frame") == 7
    assert tab.js("document.querySelector('input[type=range]').value") == "7"
    tab.drag("canvas.plot", [(0.5, 0.5), (1.0, 0.5)])
    assert tab.js("massannot.player.frame") == N_FRAMES - 1
    yaw = tab.js("massannot.space.yaw")
    tab.drag("canvas.space", [(0.5, 0.5), (0.7, 0.5)])
    assert tab.js("massannot.space.yaw") > yaw
    tab.js("document.querySelector('.scroll').focus()")
    tab.key("ArrowLeft")  # scrolls the table, which a keyboard cannot do otherwise
    assert tab.js("massannot.player.frame") == N_FRAMES - 1


@pytest.mark.parametrize("frame", [0, 11, N_FRAMES - 1])
def test_outline_and_film_show_the_same_frame(tab: Tab, address: str, frame: int) -> None:
    """The film's own pixels tell which frame it is; the outline lies round the disc."""
    tab.open(f"{address}clip/{clip_id_of(0)}#f={frame}")
    tab.until("massannot.player.video.readyState > 1 && !massannot.player.video.seeking")
    grey = tab.js(
        "(() => { const c = document.createElement('canvas'); c.width = c.height = 1; "
        "const p = c.getContext('2d'); p.drawImage(massannot.player.video, 2, 2, 4, 4, 0, 0, 1, 1);"
        " return p.getImageData(0, 0, 1, 1).data[1]; })()"
    )
    assert round((grey - 40) / 8) == frame
    x, y = centre(frame)
    inside, left = tab.js(
        "(() => { const path = massannot.overlay.paths.get('0 " + str(frame) + "'); "
        "const pen = document.createElement('canvas').getContext('2d'); pen.lineWidth = 2; "
        f"return [pen.isPointInStroke(path, {x}, {y}), "
        f"pen.isPointInStroke(path, {max(x - 18, 0)}, {y})]; }})()"
    )
    assert (inside, left) == (False, True)


def test_layers_are_toggled_by_key_and_by_press(tab: Tab, address: str) -> None:
    tab.open(f"{address}clip/{clip_id_of(1)}")
    tab.until("massannot.player.video?.readyState > 1 && !massannot.player.seeking")
    drawn = "massannot.overlay.canvas.toDataURL()"
    before = tab.js(drawn)
    tab.key("b")
    without = tab.js(drawn)
    tab.click("[data-layer=boxes]")
    assert without != before
    assert tab.js(drawn) == before
    assert tab.js("document.querySelector('[data-layer=boxes]').ariaPressed") == "true"
    depth = {"src": "../depth/gone.jpg", "frames": [0], "columns": 1, "tile": [4, 3],
             "near": 1, "far": 2}  # fmt: skip
    tab.js(
        f"other = new Overlay({{...massannot.data, depth: {json.dumps(depth)}}}, massannot.player);"
        "document.body.append(other.toggles(), other.canvas); other.toggle('depth')"
    )
    tab.until("other.scaleBar.textContent === 'The depth pictures could not be loaded.'")
    tab.js("other.draw()")
    assert tab.js("other.paths.size") == 1  # what else there is to see is still drawn


def test_a_question_leads_to_the_frames_and_boxes_of_its_proof(tab: Tab, address: str) -> None:
    tab.open(f"{address}clip/{clip_id_of(0)}")
    assert tab.js("document.querySelector('.question h3').textContent") == "Where is <it>?"
    tab.click(".question .chip:nth-of-type(2)")
    assert tab.js("massannot.player.frame") == 5
    assert tab.js("massannot.overlay.proof") == [
        {"frame": 5, "box": [10, 10, 40, 40], "role": "box"}
    ]


def test_the_list_is_searched_filtered_and_sorted(tab: Tab, address: str) -> None:
    tab.open(address)
    tab.until("document.body.dataset.loaded")
    set_filter(tab, "q", "clip 1")
    assert sorted(shown_names(tab)) == ["clip 1", "clip 10", "clip 11"]
    set_filter(tab, "phrase", "a hoop")
    assert shown_names(tab) == ["clip 10"]
    set_filter(tab, "q", "")
    set_filter(tab, "sort", "name")
    assert shown_names(tab) == ["clip 0", "clip 10", "clip 2", "clip 4", "clip 6", "clip 8"]
    set_filter(tab, "camera", "moving")
    assert shown_names(tab) == ["clip 10", "clip 4"]
    tab.call("Page.reload")
    tab.until("document.body.dataset.loaded")
    assert shown_names(tab) == ["clip 10", "clip 4"]  # the address remembers
    for refused in ("1.5", "1e300"):
        set_filter(tab, "shot", refused)
        assert shown_names(tab) == []
        assert tab.js(SAID).startswith("No list: shot: found 1")
    set_filter(tab, "shot", "")
    assert shown_names(tab) == ["clip 10", "clip 4"]


def test_a_slow_server_mixes_no_lists_and_a_silent_one_is_named(tab: Tab, address: str) -> None:
    network = {"offline": False, "latency": 500, "downloadThroughput": -1, "uploadThroughput": -1}
    tab.open(address)
    tab.until("document.body.dataset.loaded")
    tab.call("Network.enable")
    tab.call("Network.emulateNetworkConditions", **network)
    more = "document.querySelector('section > button')"
    loaded_after(
        tab,
        "(async () => { const e = document.querySelector('[name=sort]'); e.value = 'name'; "
        "e.dispatchEvent(new Event('change')); await new Promise(r => setTimeout(r, 250)); "
        f"{more}.click(); }})()",  # of the list as it was, while the other is on its way
    )
    names = shown_names(tab)
    assert (len(names), len(set(names))) == (60, 60)
    tab.call("Network.emulateNetworkConditions", **network | {"offline": True})
    loaded_after(tab, f"{more}.click()")
    assert tab.js(SAID) == "No list: the server does not answer"
    assert (len(shown_names(tab)), tab.js(f"{more}.textContent")) == (60, "Try again")
    tab.call("Network.emulateNetworkConditions", **network | {"latency": 0})
    loaded_after(tab, f"{more}.click()")
    assert len(set(shown_names(tab))) == 62
    assert tab.js(SAID) == "62 of 62"


def test_the_report_works_from_disk_and_filters_as_the_server_does(
    tab: Tab, tmp_path: Path
) -> None:
    write_looked_at(tmp_path / "out", [(f"clip {n}", "a red ball") for n in range(12)])
    dataset = open_dataset(tmp_path / "out")
    write_film(paths(tmp_path / "out/films", dataset.clip(clip_id_of(2)).table).plain)
    index = report_of(dataset)
    tab.open(index.as_uri())
    query = {"camera": "still", "sort": "best", "most": "0.5", "state": "hidden"}
    for name, value in query.items():
        set_filter(tab, name, value)
    served = ServedDataset(dataset, tables_of=lambda view: view.table)
    served.count_states()
    found = served.index.cards(served.index.select(query_of(query)))
    assert shown_names(tab) == [clip["name"] for clip in found]
    assert len(found) > 1
    tab.open((index.parent / "clips" / f"{clip_id_of(2)}.html").as_uri())
    tab.until("massannot.player.video.readyState > 1")
    tab.key(" ")
    tab.until("massannot.player.frame > 3")


def test_hostile_names_are_shown_and_never_run(tab: Tab, address: str) -> None:
    assert len(set(HOSTILE)) == 50
    tab.open(address)
    tab.until("document.body.dataset.loaded")
    set_filter(tab, "sort", "name")
    tab.click("section > button")
    tab.until("document.querySelectorAll('.card').length === 62")
    assert set(HOSTILE) <= set(shown_names(tab))
    for number in (12, 15, 18, 22):
        tab.open(f"{address}clip/{clip_id_of(number)}")
        assert tab.js("document.querySelector('h1').textContent") == HOSTILE[number - 12]
    assert tab.js("window.hit") is None
    assert "massannot" in tab.js("document.title") or tab.js("document.title") in HOSTILE


def test_nothing_is_served_without_the_token_or_out_of_the_dataset(address: str) -> None:
    root, token = address.rsplit("/", 2)[0] + "/", address.rsplit("/", 2)[1]
    clip = clip_id_of(0)
    assert status(address) == 200
    assert status(f"{address}film/{clip}", Range="bytes=0-9") == 206
    for path in ("", "api/clips", f"clip/{clip}", f"film/{clip}", f"{token[:-1]}/", f"{token}x/"):
        assert status(root + path) == 404
    for path in ("film/..%2f..%2ffilm.mp4", "film/../../film.mp4", "film/%2fetc%2fpasswd",
                 "clip/..%2f_run%2fspec.json", "_run/spec.json", "depth/..%2fx.jpg"):  # fmt: skip
        assert status(address + path) == 404
    assert status(address, Host="evil.example") == 404
    assert status(address, Origin="http://evil.example") == 404


@pytest.mark.parametrize("width", [390, 820, 1400])
def test_no_page_is_wider_than_its_window(tab: Tab, address: str, width: int) -> None:
    tab.size(width, 800, dark=width == 820)
    for path in ("", f"clip/{clip_id_of(0)}"):
        tab.open(address + path)
        assert tab.js("document.documentElement.scrollWidth <= innerWidth")
        assert tab.js(
            "[...document.querySelectorAll('button, select, input, a, textarea')].filter(e => "
            "e.offsetParent && !(e.textContent.trim() || e.ariaLabel || e.labels?.length)).length"
        ) == 0  # fmt: skip


REVIEW = ("--sample", "6", "--stratify", "phrase,quality", "--seed", "3", "--reviewer")


def lines_of(out: Path, reviewer: str) -> list[dict[str, Any]]:
    text = (out / "_run/reviews" / f"{reviewer}.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def first_of_sample(tab: Tab, address: str) -> str:
    tab.open(address)
    tab.until("document.body.dataset.loaded")
    return str(tab.js("document.querySelector('.card').dataset.clip"))


def hear_again(tab: Tab) -> None:
    """Come back to the page until it has asked the server again, which it does not while an answer
    is outstanding, and wait until it has been answered."""
    tab.js(
        "(async () => { const ask = fetch; const answered = new Promise((done) => { "
        "window.fetch = async (...all) => { const answer = await ask(...all); "
        "setTimeout(done, 100); return answer; }; }); "
        "const again = setInterval(() => window.dispatchEvent(new Event('focus')), 20); "
        "await answered; clearInterval(again); window.fetch = ask; })()"
    )


def saved(tab: Tab, words: str) -> None:
    tab.until(
        f"document.querySelector('#review .said').textContent.startsWith({json.dumps(words)})"
    )


@pytest.fixture
def small(tmp_path: Path) -> Path:
    write_looked_at(tmp_path / "out", [(f"clip {n}", "a ball") for n in range(8)])
    return tmp_path / "out"


def test_every_decision_is_a_line_and_undo_takes_it_back(tab: Tab, small: Path) -> None:
    with served(small, "ada") as address:
        clip = first_of_sample(tab, address)
        assert tab.js("document.querySelectorAll('.card').length") == 6
        tab.open(f"{address}clip/{clip}")
        tab.key("a")
        saved(tab, "Saved: accepted. 1 of 6 by ada")
        tab.call("Input.dispatchKeyEvent", type="keyDown", key="a", text="a", autoRepeat=True)
        tab.key("u")  # the held key was no second decision
        saved(tab, "Not decided. 0 of 6")
        tab.size(390, 800)  # a phone: one line, until it is opened
        height = "document.querySelector('#review').getBoundingClientRect().height"
        shown = "document.querySelector('#review select').offsetParent !== null"
        assert (tab.js(height) < 60, tab.js(shown)) == (True, False)
        tab.click("#review .more")
        assert (tab.js(height) > 100, tab.js(shown)) == (True, True)
        tab.click("#review .more")
        assert tab.js("document.querySelector('#review .more').ariaExpanded") == "false"
        tab.key("r")  # what was not saved is said in full
        assert tab.js(shown) is True
        tab.size(1300, 900)
        tab.key("r")
        saved(tab, "Not saved: choose a reason")
        hear_again(tab)
        saved(tab, "Not saved: choose a reason")
        tab.js("document.querySelector('#review details').open = true")
        tab.js("document.querySelector('#review select').value = 'mask'")
        tab.js("document.querySelector('#review textarea').value = 'too <b>wide</b>'")
        tab.click("[data-tool=box]")
        tab.drag(".stage canvas", [(0.25, 0.25), (0.4, 0.4), (0.5, 0.75)])
        tab.click("[data-tool=point]")
        tab.click(".stage canvas")
        tab.click("[data-tool=mask]")
        tab.drag(".stage canvas", [(0.25, 0.25), (0.5, 0.25), (0.5, 0.75)])
        tab.click("[data-tool=unseen]")
        tab.click("[data-tool=remove]")
        tab.click("[data-decision=reject]")
        saved(tab, "Saved: rejected: mask")
        tab.call("Page.reload")
        saved(tab, "Saved: rejected: mask")
        kept = "[...document.querySelectorAll('#review li')].map(e => e.textContent)"
        drawn = [f"{what} in frame 0" for what in ("box", "point", "outline", "not seen")]
        assert tab.js(kept) == [f"{fix} remove" for fix in (*drawn, "there is no thing 0")]
        assert tab.js("document.querySelector('#review textarea').value") == "too <b>wide</b>"
        assert tab.js("document.querySelector('#review select').value") == "mask"
        tab.key("n")
        tab.until(f"massannot.data.id !== {json.dumps(clip)}")
        saved(tab, "Not decided. 1 of 6")
    first, second, third = lines_of(small, "ada")
    assert [d["decision"] for d in (first, second, third)] == ["accept", "withdraw", "reject"]
    assert (third["reason"], third["note"], third["clip_id"]) == ("mask", "too <b>wide</b>", clip)
    box, point, outline, unseen, removed = third["fixes"]
    assert box["box"] == pytest.approx([40, 30, 80, 90], abs=1)
    assert point["point"] == pytest.approx([80, 60], abs=1)
    assert outline["mask"][:2] == pytest.approx([40, 30], abs=1)
    assert outline["mask"][-2:] == pytest.approx([80, 90], abs=1)
    assert unseen == {"kind": "mask", "mask": [], "entity": 0, "frame": 0}
    assert removed == {"kind": "remove", "entity": 0}
    assert {(fix["entity"], fix["frame"]) for fix in third["fixes"][:4]} == {(0, 0)}
    file = small / "_run/reviews/ada.jsonl"  # as if the clip had been done again since
    file.write_text(file.read_text().replace(third["rows_hash"], "0" * 32))
    with served(small, "ada") as address:
        tab.open(f"{address}clip/{clip}")
        saved(tab, "Changed since it was rejected: mask; look again")
        assert tab.js(kept) == []
        tab.js(
            "for (let n = 2 ** 22; n >= 1; n /= 2) { try { for (;;) sessionStorage.setItem('full', "
            "(sessionStorage.getItem('full') || '') + 'x'.repeat(n)); } catch {} }"
        )
        tab.key("a")
        saved(tab, "NOT saved: it is larger than this browser keeps")


def test_two_tabs_and_two_reviewers_lose_nothing(running: Browser, tab: Tab, small: Path) -> None:
    other = running.tab()
    with served(small, "ada") as address, served(small, "bob") as second:
        clip = first_of_sample(tab, address)
        tab.open(f"{address}clip/{clip}")
        other.open(f"{address}clip/{clip}")
        act = "document.querySelector('[data-decision=accept]').click()"
        tab.js(act)
        other.js(act)
        saved(tab, "Saved: accepted")
        saved(other, "Saved: accepted")
        other.open(f"{second}clip/{clip}")  # the same sample, nothing decided by him
        saved(other, "Not decided. 0 of 6 by bob")
        other.js(act)
        saved(other, "Saved: accepted. 1 of 6 by bob")
    other.close()
    assert [d["number"] for d in lines_of(small, "ada")] == [1, 2]
    assert [d["number"] for d in lines_of(small, "bob")] == [1]


def test_a_decision_outlives_a_server_killed_before_the_disk(tab: Tab, small: Path) -> None:
    """The server dies with the request in hand; another one takes it from the tab, once."""
    with command("review", str(small), *REVIEW, "ada") as (address, process):
        port = address.split(":")[2].split("/")[0]
        clip = first_of_sample(tab, address)
        tab.open(f"{address}clip/{clip}")
        saved(tab, "Not decided")
        process.kill()
        process.wait(10)
        tab.js("document.querySelector('[data-decision=accept]').click()")
        saved(tab, "NOT saved yet")
        assert tab.js("document.body.dataset.saved") == "false"
    assert not (small / "_run/reviews/ada.jsonl").exists()
    with command("review", str(small), *REVIEW, "ada", "--port", port) as (address, _):
        tab.open(f"{address}clip/{clip}")
        saved(tab, "Saved: accepted. 1 of 6")
        line = lines_of(small, "ada")[0]
        sent = {**line, "kind": "clip", "fixes": []}
        again = tab.js(
            "fetch('../api/reviews', {method: 'POST', headers: {'content-type': "
            f"'application/json'}}, body: {json.dumps(json.dumps(sent))}}}).then(r => r.json())"
        )
        assert again["done"] == 1
    assert len(lines_of(small, "ada")) == 1


def test_the_commands_of_the_page_on_reviewing_run(
    tab: Tab, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does clips again is run by test_corrected and test_added_phrases, what goes to CVAT and
    back by test_changed_in_cvat."""
    text = (Path(__file__).parents[2] / "docs" / "review.md").read_text(encoding="utf-8")
    lines = [shlex.split(line)[1:] for line in text.splitlines() if line.startswith("massannot ")]
    lines = [words for words in lines if words[0] not in ("retry", "annotate", "run", "export")]
    lines = [words for words in lines if "--from" not in words]
    assert [words[0] for words in lines] == ["view", "review", "review", "publish", "publish"]
    asked = Asking(families=("travelled_distance",), even=False)
    ask(write_asked_about(small.parent / "things", n_clips=2), small.parent / "asked", asked)
    for words, n_clips in zip(lines[:3], (8, 8, 2), strict=True):
        free = [w if w not in ("8123", "8124") else "0" for w in words]
        with command(*free, cwd=small.parent) as (address, _):
            first_of_sample(tab, address)
            assert tab.js("document.querySelectorAll('.card').length") == n_clips
    with served(small, "ada") as address:
        tab.open(f"{address}clip/{first_of_sample(tab, address)}")
        tab.key("a")
        saved(tab, "Saved: accepted")
    monkeypatch.chdir(small.parent)
    for words in lines[3:]:
        app(words, standalone_mode=False)
    card = (small.parent / "accepted/README.md").read_text()
    assert "1 of 1 accepted: 100.0 % (20.7 to 100.0)" in card
