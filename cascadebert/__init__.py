"""CascadeBERT, reproduced: cascades of complete pre-trained models against early exits.

Other code may rely on the names in `__all__`. Each is imported when it is first used, so that
`import cascadebert` takes no time.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cascadebert.deployment.cascade import Cascade
    from cascadebert.evaluation.metrics import (
        difficulty_inversion_score,
        expected_calibration_error,
    )
    from cascadebert.systems.exits import first_confident, first_patient, speedup
    from cascadebert.training.losses import difficulty_margin_loss

__version__ = "0.1.0"
__all__ = [
    "Cascade",
    "__version__",
    "difficulty_inversion_score",
    "difficulty_margin_loss",
    "expected_calibration_error",
    "first_confident",
    "first_patient",
    "speedup",
]

_MODULES = {
    "Cascade": "cascadebert.deployment.cascade",
    "difficulty_inversion_score": "cascadebert.evaluation.metrics",
    "difficulty_margin_loss": "cascadebert.training.losses",
    "expected_calibration_error": "cascadebert.evaluation.metrics",
    "first_confident": "cascadebert.systems.exits",
    "first_patient": "cascadebert.systems.exits",
    "speedup": "cascadebert.systems.exits",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
