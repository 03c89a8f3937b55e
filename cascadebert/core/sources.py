"""Finds the files of the library that a module depends on, and the workflow."""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

LIBRARY = Path(__file__).parents[1]
PACKED = LIBRARY / "workflow"  # where a wheel has the workflow, see pyproject.toml
# The folder of the Snakefile, the default configuration, the schemas and the embedded models.
WORKFLOW_FOLDER = PACKED if PACKED.is_dir() else LIBRARY.parent


@cache
def find_sources(*modules: str, library: Path = LIBRARY) -> tuple[Path, ...]:
    """Returns the files of these modules and of all that they import in the library, sorted.

    modules: such as "cascadebert.training.loop"

    Indirect imports and imports inside functions count. Imports for type checkers do not.
    """
    found: set[Path] = set()
    waiting = list(modules)
    while waiting:
        for path in _files_of(waiting.pop(), library):
            if path not in found:
                found.add(path)
                waiting += _imports_of(ast.parse(path.read_text(encoding="utf-8")))
    return tuple(sorted(found))


def _files_of(module: str, library: Path) -> Iterator[Path]:
    """Yields the files of the module and of its packages; nothing for another library's module."""
    root, *parts = module.split(".")
    if root != library.name:
        return
    for depth in range(len(parts) + 1):
        place = library.joinpath(*parts[:depth])
        for path in (place / "__init__.py", place.with_suffix(".py")):
            if path.is_file():
                yield path


def _imports_of(node: ast.AST) -> Iterable[str]:
    """Yields the modules that a piece of code imports. `from a import b` gives a.b in any case."""
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from _imports_of(child)
