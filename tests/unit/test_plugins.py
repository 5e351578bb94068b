"""Plug-ins by name, by path and by dotted name."""

import pickle
import sys

import pytest

from massannot.errors import BadRecipe, UsageError
from massannot.plugins import Registry, absolute, outside_object

RULER = '''"""ruler: a thing of length one.

More about it.
"""

from __future__ import annotations

from dataclasses import dataclass

IMPORTED = True


@dataclass(frozen=True)
class Ruler:
    length_m: float = 1.0
'''


@pytest.fixture
def registry(tmp_path):
    (tmp_path / "two_words.py").write_text(
        '"""two-words: a\nsummary. Not\nthis.\n\nNot it."""\nVALUE = 2\n'
    )
    (tmp_path / "broken.py").write_text('"""broken: raises on import."""\nraise ValueError("no")\n')
    (tmp_path / "_helper.py").write_text("")
    return Registry("thing", tmp_path, None, separator="-", error=BadRecipe)


def test_names_and_summaries_are_read_without_importing(registry):
    assert registry.names() == ("broken", "two-words")
    assert registry.summary("broken") == "broken: raises on import."
    assert registry.summary("two-words") == "two-words: a summary."


def test_a_name_of_the_folder_gives_its_module(registry):
    assert registry.module("two-words").VALUE == 2
    assert registry.attribute("two-words", "VALUE") == 2


def test_a_file_from_outside_is_loaded_once_and_its_classes_can_be_pickled(registry, tmp_path):
    path = tmp_path / "elsewhere" / "ruler.py"
    path.parent.mkdir()
    path.write_text(RULER)
    module = registry.module(str(path))
    assert module is registry.module(str(path.parent / ".." / "elsewhere" / "ruler.py"))
    assert registry.summary(str(path)) == "ruler: a thing of length one."
    assert pickle.loads(pickle.dumps(module.Ruler(2.0))) == module.Ruler(2.0)
    assert outside_object(f"{path}:Ruler") is module.Ruler
    assert str(path.parent) not in sys.path


def test_a_dotted_name_gives_the_imported_module(registry):
    assert registry.module("massannot.errors").UsageError is UsageError
    assert outside_object("massannot.errors:UsageError") is UsageError


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("three", "no thing 'three'; things: broken, two-words, or a file"),
        ("_helper", "no thing '_helper'"),
        ("./absent.py", "thing ./absent.py: found no such file"),
        ("./absent", "thing ./absent: found no such file"),
        ("massannot.absent", "found no module 'massannot.absent'"),
        ("absent_package.module", "found no module 'absent_package'"),
    ],
)
def test_a_name_that_leads_nowhere_is_refused_with_the_ways_out(registry, name, sentence):
    with pytest.raises(BadRecipe, match=sentence.replace(".", r"\.")):
        registry.module(name)


def test_what_a_module_lacks_is_named(registry, tmp_path):
    with pytest.raises(BadRecipe, match="found no 'EXTENT'"):
        registry.attribute("two-words", "EXTENT")
    with pytest.raises(UsageError, match=r"expected path/to/file\.py:NAME"):
        outside_object("two-words")
    with pytest.raises(UsageError, match="found no 'Absent'"):
        outside_object("massannot.errors:Absent")


def test_a_name_that_is_written_down_holds_in_every_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute("./ruler.py:Ruler") == f"{tmp_path / 'ruler.py'}:Ruler"
    assert absolute("my_package.rulers:Ruler") == "my_package.rulers:Ruler"
    assert absolute("ruler") == "ruler"


def test_an_error_of_the_modules_own_code_rises_and_leaves_no_half_module(registry, tmp_path):
    before = set(sys.modules)
    with pytest.raises(ValueError, match="no"):
        registry.module("broken")
    assert set(sys.modules) - before == set()
    needy = tmp_path / "needy.py"
    needy.write_text("import a_module_that_is_not_there\n")
    with pytest.raises(ModuleNotFoundError, match="a_module_that_is_not_there"):
        registry.module(str(needy))
