"""Knowledge distillation (Hinton et al. 2015): a small model learns a fine-tuned one's answers.

The student is the first k layers of an encoder (vanilla KD) or a whole smaller one. If that one was
pre-trained as such, this is BERT-PD, "pre-trained distillation" (Turc et al. 2019).
"""

from torch.nn.functional import cross_entropy, kl_div

from cascadebert.encoders.loading import load_classifier
from cascadebert.systems import Run, finetune

EXIT_RULE = "last"
OPTIONS = {
    "required": ["encoder", "teacher"],
    "properties": {
        **finetune.OPTIONS["properties"],
        "teacher": {
            "type": "string",
            "format": "encoder",
            "description": "the encoder that is fine-tuned first and then teaches",
        },
        "temperature": {"type": "number", "exclusiveMinimum": 0, "description": "default: 10"},
        "weight": {
            "type": "number",
            "minimum": 0,
            "maximum": 1,
            "description": "of the teacher's answers beside the gold labels; default: 0.7",
        },
    },
}

# Within what Sun et al. (2019, Section 4.2) search for vanilla KD and BERT-PKD, and what their
# public code sets for BERT-PKD.
TEMPERATURE = 10
WEIGHT = 0.7


def candidates(options: dict, margins: list[float]) -> dict[str, list[Run]]:
    # All of them, so that students of different teachers are different runs.
    given = tuple((name, value) for name, value in options.items() if name != "encoder")
    teacher = Run("finetune", options["teacher"])
    return {"": [Run("kd", options["encoder"], tuple(sorted(given)), (teacher,))]}


def distillation_loss(student, teacher, gold, weight: float, temperature: float):
    """(1 - weight) CE + weight T² KL(teacher || student), the latter of logits over T.

    T² keeps the two gradients in proportion when the temperature changes (Hinton et al. 2015,
    Section 2).

    student, teacher: logits, `[batch, labels]`
    gold:             labels, `[batch]`
    """
    soft = kl_div(
        (student / temperature).log_softmax(dim=-1),
        (teacher / temperature).log_softmax(dim=-1),
        log_target=True,
        reduction="batchmean",
    )
    return (1 - weight) * cross_entropy(student, gold) + weight * temperature**2 * soft


class Model(finetune.Model):
    """The student; the teacher, which is frozen, is there for training alone."""

    def __init__(self, run, encoder, labels, parents):
        super().__init__(run, encoder, labels)
        self.teacher = load_classifier(parents[0], labels).requires_grad_(False)
        self.temperature = run.option("temperature", TEMPERATURE)
        self.weight = run.option("weight", WEIGHT)

    def train(self, mode: bool = True):
        super().train(mode)
        self.teacher.eval()  # a teacher answers as it does at inference, without dropout
        return self

    def objective(self, inputs, gold, step, steps):
        logits = self(inputs)
        taught = self.teacher(**inputs).logits.float()
        return logits, distillation_loss(logits[:, 0], taught, gold, self.weight, self.temperature)
