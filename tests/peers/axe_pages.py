"""Does axe find a fault in the pages, served, reviewed and on disk, wide, narrow, light and dark?

python -m tests.peers.axe_pages ANY PYTHON
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from massannot.dataset.reading import open_dataset
from massannot.jobs.drawing import report_of
from tests.browser import Tab, browser
from tests.end_to_end.test_page_in_browser import served
from tests.looked_at import clip_id_of, write_looked_at
from tests.peers.elsewhere import found_by, told

READ = """
import json, pathlib, axe_playwright_python as found
print(json.dumps((pathlib.Path(found.__file__).parent / "axe.min.js").read_text()))
"""
RUN = """
window.faults = null;
axe.run().then((found) => {
  const faults = found.violations.map((v) => [v.impact, v.id, v.nodes[0].html]);
  window.faults = found.passes.length ? faults : ["nothing was looked at"];
}); 0
"""


def main(_: str, python: str) -> int:
    axe = found_by(python, READ)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        write_looked_at(out, [(f"clip {n}", "a red ball" if n % 2 else "a hoop") for n in range(8)])
        index = report_of(open_dataset(out))
        on_disk = [index, *sorted((index.parent / "clips").iterdir())[:2]]
        with browser() as running, served(out) as seen, served(out, "ada") as reviewed:
            clip = f"clip/{clip_id_of(0)}"
            pages = [path.as_uri() for path in on_disk]
            pages += [seen, seen + clip, reviewed, reviewed + clip]
            checked = [line for page in pages for line in _faults(running.tab(), page, axe)]
    faults = [line for line in checked if line]
    for line in faults:
        print(line)
    version = axe.split()[2]
    said = f"{len(checked)} looks at {len(pages)} pages, {len(faults)} of them with faults"
    return told(f"axe-core {version}", right=not faults, said=said)


def _faults(tab: Tab, page: str, axe: str) -> Iterator[str]:
    """A line a look at the page; empty: nothing was found."""
    for scheme in ("light", "dark"):
        media = [{"name": "prefers-color-scheme", "value": scheme}]
        tab.call("Emulation.setEmulatedMedia", features=media)
        for width in (1300, 390):
            tab.size(width, 900)
            tab.open(page)
            tab.until("window.massannot || document.body.dataset.loaded")
            tab.js("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
            tab.js(axe + RUN)
            tab.until("window.faults !== null")
            found = tab.js("window.faults")
            yield f"{page}, {width} px, {scheme}: {json.dumps(found)}" if found else ""
    tab.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
