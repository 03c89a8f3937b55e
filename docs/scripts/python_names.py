"""The page docs/reference/python.md: the public names of the library, with their docstrings."""

import ast
import inspect
import re
import textwrap
from typing import Any

import cascadebert
from cascadebert.deployment.answers import Answers
from cascadebert.deployment.folder import OperatingPoint
from docs.scripts.markdown import MADE, escape


def write_python() -> str:
    """The public names of the library, with their docstrings."""
    named = [getattr(cascadebert, name) for name in cascadebert.__all__ if name != "__version__"]
    classes = [found for found in named if inspect.isclass(found)]
    functions = [found for found in named if not inspect.isclass(found)]
    lines = [
        MADE,
        "",
        "# Python",
        "",
        "`import cascadebert` offers these names. Other modules may change without notice.",
        "torch members use a GPU if there is one; ONNX Runtime uses the CPU.",
        "`fit_thresholds` needs pandas: `pip install '.[torch]'` brings it, `'.[serve]'` does not.",
        "To catch a `UserError`: `from cascadebert.core.errors import UserError`.",
    ]
    for found in (*classes, Answers, OperatingPoint):
        lines += ["", f"## {found.__name__}", *write_docstring(found)]
        for name, member in vars(found).items():
            function = getattr(member, "__func__", getattr(member, "fget", member))
            if inspect.isfunction(function) and has_own_page(name, function):
                lines += ["", f"### `{found.__name__}.{name}`", *write_function(function)]
    lines += ["", "## Functions"]
    for function in functions:
        lines += ["", f"### `{function.__name__}`", *write_function(function)]
    return "\n".join(lines) + "\n"


def write_function(function: Any) -> list[str]:
    return ["", "```python", write_signature(function), "```", *write_docstring(function)]


def write_docstring(found: Any) -> list[str]:
    """The docstring; a paragraph of `name: text` becomes a list, an indented one stays code."""
    lines: list[str] = []
    for paragraph in (inspect.getdoc(found) or "").split("\n\n"):
        lines.append("")
        for line in paragraph.splitlines():
            if named := re.match(r"([\w, ]+): +(?=\S)", line):
                lines.append(f"* **{named[1]}**: {escape(line[named.end() :])}")
            elif lines[-1].startswith(("* ", "  ")) and line.startswith("  "):
                lines.append(f"  {escape(line.strip())}")
            else:
                lines += [""] * lines[-1].startswith(("* ", "  "))  # the list has ended
                lines.append(line if line.startswith("    ") else escape(line))
    return lines


def has_own_page(name: str, function: Any) -> bool:
    """Whether a method is public and described."""
    return bool(function.__doc__) and (name == "__call__" or not name.startswith("_"))


def write_signature(function: Any) -> str:
    """As it stands in the code: inspect would write out the names of types."""
    [node] = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(node, ast.FunctionDef)
    returned = f" -> {ast.unparse(node.returns)}".replace("'", "") if node.returns else ""
    if any(ast.unparse(decorator) == "property" for decorator in node.decorator_list):
        return f"{node.name}{returned}"
    arguments = ast.unparse(node.args).replace("'", "")
    line = f"{node.name}({arguments}){returned}"
    if len(line) <= 88:
        return line
    each = re.split(r", (?![^\[]*\])", arguments)  # not at the commas of a type
    return "\n".join([f"{node.name}(", *(f"    {one}," for one in each), f"){returned}"])
