from pathlib import Path

from cascadebert.core.sources import LIBRARY, find_sources


def names(*modules: str, library: Path = LIBRARY) -> set[str]:
    return {str(path.relative_to(library)) for path in find_sources(*modules, library=library)}


def test_a_module_that_imports_nothing_is_itself_and_its_packages():
    assert names("cascadebert.core.seeds") == {
        "__init__.py",
        "core/__init__.py",
        "core/seeds.py",
    }


def test_imports_are_followed():
    found = names("cascadebert.training.loop")
    assert {"training/checkpoint.py", "core/files.py", "data/tokens.py"} <= found
    assert not [name for name in found if name.startswith(("evaluation", "reporting"))]


def test_every_way_to_import_counts_but_that_of_type_checkers(tmp_path):
    library = tmp_path / "library"
    (library / "room").mkdir(parents=True)
    files = {
        "__init__.py": "",
        "room/__init__.py": "",
        "room/one.py": "import os, library.two\nfrom library import three",
        "room/never.py": "",
        "two.py": "def later():\n    from library.room.four import name",
        "three.py": (
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import library.room.never"
        ),
        "room/four.py": "import library.room.one",
    }
    for name, text in files.items():
        (library / name).write_text(text)
    assert names("library.room.one", library=library) == files.keys() - {"room/never.py"}
