"""The models that methods train: one file a method, named as the method's file in `systems`.

They are apart from `systems` so that planning a workflow and making a table need no torch.
"""


def model_module(method: str) -> str:
    """The full name of the module whose `Model` makes the models of the method's runs."""
    return f"{__name__}.{method}"
