"""The models that methods train: one file a method, named as the method's file in `systems`.

They are apart from `systems` so that planning a workflow and making a table need no torch. A file
names in PACKAGES what trains its models beside torch and transformers.
"""

import importlib


def model_module(method: str) -> str:
    """The full name of the module whose `Model` makes the models of the method's runs."""
    return f"{__name__}.{method}"


def model_packages(method: str) -> tuple[str, ...]:
    """The packages that train the method's models, beside torch and transformers."""
    return getattr(importlib.import_module(model_module(method)), "PACKAGES", ())
