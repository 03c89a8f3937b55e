"""The systems that are compared: one file a method, behind the interface in `method`.

A file says what has to be trained and which rule picks an exit. The model that is trained is in the
file of the same name in `cascadebert.models`. No rule, evaluation, table or figure knows the name
of a method. `experiment` knows three: the full model is a `finetune` run, and `pkd` and `theseus`
cut an encoder into equal parts.
"""

import importlib
import pkgutil
from typing import cast

from cascadebert.systems.method import Method

SHARED = {"exits", "method"}  # the modules here that are no methods


def find_methods() -> list[str]:
    """The names of all methods, sorted."""
    return sorted({module.name for module in pkgutil.iter_modules(__path__)} - SHARED)


def load_method(name: str) -> Method:
    return cast(Method, importlib.import_module(f"{__name__}.{name}"))
