"""The systems that are compared: one file a method, behind the interface in `method`.

Nothing else in the project knows the name of a method.
"""

import importlib
import pkgutil
from typing import cast

from cascadebert.systems.method import Method

INTERFACE = "method"  # the one module here that is no method


def find_methods() -> list[str]:
    """The names of all methods, sorted."""
    modules = [module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg]
    return sorted(name for name in modules if name != INTERFACE)


def method_module(name: str) -> str:
    """The full name of the method's module."""
    return f"{__name__}.{name}"


def load_method(name: str) -> Method:
    return cast(Method, importlib.import_module(method_module(name)))
