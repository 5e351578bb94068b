"""How the documentation is built: `make docs`. Warnings are errors there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tools import document_tables  # noqa: E402

(ROOT / "docs" / "tables.md").write_text(document_tables.page(), encoding="utf-8")

project = "massannot"
author = "The massannot authors"
project_copyright = author
(release,) = re.findall(r'__version__ = "(.+)"', (ROOT / "massannot" / "version.py").read_text())
version = release

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
nitpicky = True
highlight_language = "none"  # of blocks of commands

myst_heading_anchors = 3

html_theme = "furo"
html_title = f"massannot {release}"
html_copy_source = False
html_theme_options = {
    "source_repository": "https://github.com/massannot/massannot",
    "source_branch": "main",
    "source_directory": "docs/",
}
