"""CascadeBERT: complete models of growing depth; an input leaves at the first that is confident."""

from collections.abc import Sequence
from dataclasses import replace

from cascadebert.systems import load_method
from cascadebert.systems.exits import CONFIDENCES
from cascadebert.systems.method import ENCODER, Candidate, Options, Run

EXIT_RULE = CONFIDENCES
OPTIONS = {
    "required": ["members"],
    "properties": {
        "members": {
            "type": "array",
            "items": {
                "description": "an encoder, or {encoder: ..., layers: ..., teacher: ...}",
                "anyOf": [
                    ENCODER,
                    {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["encoder"],
                        "properties": {
                            "encoder": ENCODER,
                            "layers": {
                                "type": "integer",
                                "minimum": 1,
                                "description": "keep only the first k layers",
                            },
                            "teacher": {
                                **ENCODER,
                                "description": "the encoder that is fine-tuned first and then "
                                "teaches",
                            },
                        },
                    },
                ],
            },
            "minItems": 2,
            "uniqueItems": True,
            "description": "encoders, from the smallest to the largest; where a family has no "
            "small one, the first `layers` of one, which may learn from a `teacher`",
        },
        "dar": {"type": "boolean", "description": "difficulty-aware regularisation"},
    },
}


def candidates(options: Options, margins: Sequence[float]) -> list[Candidate]:
    """Without DAR the fine-tuned members; with it one alternative for each margin.

    The last member always emits, so its confidence is never asked for: it is not regularised
    (paper, Section 4.1: "the difficulty score is evaluated based on the 2-layer model").
    """
    *early, last = map(_member, options["members"])
    if not options.get("dar", False):
        return [Candidate(label="", runs=(*early, last))]
    return [
        Candidate(label=str(margin), runs=(*(_regularised(run, margin) for run in early), last))
        for margin in margins
    ]


def _regularised(run: Run, margin: float) -> Run:
    return replace(run, options=(*run.options, ("margin", margin)))


def _member(entry: str | Options) -> Run:
    """Fine-tuned, or a student (paper, Section 5.4)."""
    options = {"encoder": entry} if isinstance(entry, str) else entry
    method = load_method("kd" if "teacher" in options else "finetune")
    [candidate] = method.candidates(options, margins=())
    [run] = candidate.runs
    return run
