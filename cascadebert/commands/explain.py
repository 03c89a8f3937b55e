"""`cascadebert explain`."""

import argparse

from cascadebert.commands.model import load_model


def explain(parsed: argparse.Namespace) -> None:
    """Shows every member's answer, its confidence and its threshold."""
    cascade, _ = load_model(parsed)
    assert cascade.thresholds is not None  # `load_model` refuses a cascade without
    answers = cascade(parsed.texts, parsed.pair)
    found = cascade.compute_all(parsed.texts, parsed.pair)
    for text, members, answer in zip(parsed.texts, found, answers, strict=True):
        print(f"{text[:70]!r}: {answer['label']}, from member {answer['exit'] + 1}")
        if answer["truncated"]:
            print(f"  the text was cut at {cascade.max_length} tokens")
        for index, probabilities in enumerate(members):
            label, confidence = cascade.classes[probabilities.argmax()], probabilities.max()
            said = f"  member {index + 1} says {label} with a confidence of {confidence:.4f}"
            if index > answer["exit"]:
                print(f"{said}; it does not run, since an earlier member answered")
            elif index < len(cascade.thresholds):
                threshold = cascade.thresholds[index]
                relation = "above" if confidence > threshold else "not above"
                does = "answers" if confidence > threshold else "passes the text on"
                print(f"{said}, {relation} its threshold of {threshold:.4f}: it {does}")
            else:
                print(f"{said}; it is the last: it answers")
