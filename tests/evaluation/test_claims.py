from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cascadebert.data.predictions import Predictions
from cascadebert.evaluation import claims
from cascadebert.evaluation.choice import ChosenSystem, SystemPredictions, choose
from cascadebert.evaluation.claims import CLAIMS, Statistic, tabulate_statistics
from cascadebert.evaluation.comparison import compare_exits, compare_systems
from cascadebert.evaluation.evidence import Evidence, Roles, compute_statistics
from cascadebert.evaluation.intervals import Resampling
from cascadebert.evaluation.points import measure_operating_points
from cascadebert.experiment.catalogue import ALL
from cascadebert.experiment.configuration import Experiment, resolve
from cascadebert.reporting.claims import table_claims
from cascadebert.reporting.grid import NOTHING
from cascadebert.reporting.typeset import to_markdown
from tests.synthetic import RULES
from tests.workflow.command import ROOT

RESAMPLING = Resampling(3, 200)
TWELVE = tuple(range(1, 13))


def made(
    key, rule, costs, accuracies, sharpness=2.0, overconfidence=0.0, metric="accuracy", n=1500
):
    """A system whose exits have exactly these accuracies, on the same examples as all others.

    sharpness: of each exit, how much more confident it is of what it gets right
    """

    def predictions(split: str, replicate: int) -> Predictions:
        data = np.random.default_rng([len(split), 5])
        gold, ease = data.integers(2, size=n), data.normal(size=(n, 1))
        own = np.random.default_rng([replicate, *map(ord, key), len(split)])
        latent = ease + 0.4 * own.normal(size=(n, len(costs)))
        ranks = latent.argsort(axis=0).argsort(axis=0)
        correct = ranks >= np.round(n * (1 - np.asarray(accuracies)))
        told = np.asarray(sharpness) * (correct - 0.5) + own.normal(size=correct.shape)
        margin = np.logaddexp(0, told + overconfidence)
        answers = np.where(correct, gold[:, None], 1 - gold[:, None])
        logits = np.zeros((n, len(costs), 2), np.float32)
        np.put_along_axis(logits, answers[..., None], margin[..., None], axis=-1)
        return Predictions(logits, np.array(costs, float), np.arange(n).astype(str), gold)

    replicates = [{s: predictions(s, r) for s in ("dev", "test")} for r in range(2)]
    return SystemPredictions("words", key, RULES[rule], metric, 12.0, {"": replicates})


def cascade(key, small=0.88, full=0.95, **options):
    return made(key, "confidence", (2, 14), (small, full), **options)


def deebert(key="deebert", first=0.55, last=0.9, **options):
    return made(key, "entropy", TWELVE, np.linspace(first, last, 12), **options)


def single(key, layers, accuracy, **options):
    return made(key, "last", (layers,), (accuracy,), **options)


def look(systems, targets=(2, 3, 4), resampling=RESAMPLING, **roles) -> tuple[Roles, Evidence]:
    """Roles and evidence of the first system and the others, on the test split."""
    of = {s.system: ChosenSystem(s, choose(s, targets)) for s in systems}
    proposed = next(iter(of))
    empty = {"rivals": [], "ablations": {}, "extensions": {}, "truncations": {}, "series": {}}
    roles = Roles(titles={key: key.upper() for key in of}, proposed=proposed, **(empty | roles))
    points = pd.concat(measure_operating_points(s, ["test"], resampling) for s in of.values())
    pairs = [(proposed, key) for key in roles.rivals]
    pairs += [*roles.ablations.items(), *roles.extensions.items()]
    pairs += [(complete, cut) for cut, complete in roles.truncations.items()]
    return roles, Evidence(
        split="test",
        systems=of,
        points=points,
        probes=mark(of, ()),
        differences=compare_systems(of, points, pairs, ["test"], resampling),
        exit_differences=compare_exits(of, roles.ablations, ["test"], resampling),
        resampling=resampling,
    )


def mark(systems, weak) -> pd.DataFrame:
    """Whether each system is undertrained, as `measures.compare_with_probes` says it."""
    return pd.DataFrame([{"system": key, "undertrained": key in weak} for key in systems])


def of_claim(claim, *arguments, **options) -> list[Statistic]:
    return [s for s in compute_statistics(*look(*arguments, **options)) if s.claim == claim]


def score(evidence, key, target) -> float:
    """Percent right at a target, counted one by one."""
    right, total = 0, 0
    labels = evidence.systems[key].system.labels("test")
    emission = evidence.systems[key].emit("test", target)
    for of_knob, chances in zip(emission.answers, emission.chances, strict=True):
        for answers, chance in zip(of_knob, chances, strict=True):
            for answer, label in zip(answers, labels, strict=True):
                right += chance * (answer == label)
                total += chance
    return 100 * right / total


def test_nothing_holds_against_a_rival_that_is_undertrained():
    systems = [cascade("cascade"), deebert(first=0.5, last=0.6), deebert("weak", 0.5, 0.6)]
    roles, evidence = look(systems, rivals=["deebert", "weak"])
    evidence = replace(evidence, probes=mark(evidence.systems, ["weak"]))
    found = [
        s for s in compute_statistics(roles, evidence) if s.claim in (claims.BEATS, claims.GROWS)
    ]
    beats = {s.label: s.verdict for s in found if s.claim == claims.BEATS}
    assert len(beats) == 6
    for label, verdict in beats.items():
        assert verdict == (claims.UNDERTRAINED if "WEAK" in label else "holds")
    table = tabulate_statistics(found, evidence.points)
    [whole] = table["verdict"][(table["statistic"] == ALL) & (table["claim"] == claims.BEATS.name)]
    assert whole == claims.UNDERTRAINED
    # What refutes a claim refutes it against an undertrained rival all the more.
    systems = [cascade("cascade", small=0.5, full=0.55), deebert(first=0.9, last=0.95)]
    roles, evidence = look(systems, rivals=["deebert"])
    evidence = replace(evidence, probes=mark(evidence.systems, ["deebert"]))
    found = [s for s in compute_statistics(roles, evidence) if s.claim == claims.BEATS]
    assert {s.verdict for s in found} == {"does not hold"}


def test_dar_does_not_win_against_an_undertrained_model():
    systems = [cascade("dar", sharpness=3.0), cascade("plain", sharpness=1.0)]
    roles, evidence = look(systems, ablations={"dar": "plain"})
    for weak in (False, True):
        evidence = replace(evidence, probes=mark(evidence.systems, ["plain"] * weak))
        found = {s.claim: s.verdict for s in compute_statistics(roles, evidence)}
        assert found[claims.DAR_DIS] == (claims.UNDERTRAINED if weak else "holds")


def test_undertrained_off_ramps_cannot_lose_to_first_layers():
    systems = [cascade("cascade"), deebert(first=0.5, last=0.6), single("four", 4, 0.9)]
    series = {"ramps": ["deebert"], "first": ["four"]}
    for weak in (False, True):
        roles, evidence = look(systems, rivals=["deebert"], series=series)
        evidence = replace(evidence, probes=mark(evidence.systems, ["deebert"] * weak))
        [found] = [s for s in compute_statistics(roles, evidence) if s.claim == claims.SERIES]
        assert found.verdict == (claims.UNDERTRAINED if weak else "holds")


def test_a_series_of_one_exit_systems_may_be_undertrained_far_from_every_target():
    # 8 layers are 1.5x: further than the tolerance from every target, so without a row of points.
    systems = [single("first-8", 8, 0.7), single("complete-8", 8, 0.85)]
    roles, evidence = look(systems, series={"First": ["first-8"], "Complete": ["complete-8"]})
    assert evidence.points.empty
    evidence = replace(evidence, probes=mark(evidence.systems, ["first-8"]))
    [found] = compute_statistics(roles, evidence)
    assert found.verdict == claims.UNDERTRAINED


@pytest.mark.parametrize(
    ("side", "bound", "low", "high", "verdict"),
    [
        (">", 0, 0.1, 2, "holds"),
        (">", 0, -2, -0.1, "does not hold"),
        (">", 0, -1, 1, "undecided"),
        (">", 0, float("nan"), float("nan"), "undecided"),
        ("<", 0, -2, -0.1, "holds"),
        ("<", 0, 0.1, 2, "does not hold"),
        (">", -1, -0.9, 0.2, "holds"),
        (">", -1, -3, -1.5, "does not hold"),
        (">", -1, -2, 0.5, "undecided"),
    ],
)
def test_a_statistic_is_decided_by_its_whole_interval(side, bound, low, high, verdict):
    assert Statistic(claims.BEATS, "", side, bound, 0, low, high).verdict == verdict


def test_a_cascade_beats_early_exit_or_not():
    good, bad = cascade("cascade"), cascade("cascade", 0.6, 0.7)
    for subject, verdict in ((good, "holds"), (bad, "does not hold")):
        found = of_claim(claims.BEATS, [subject, deebert()], rivals=["deebert"])
        assert [s.label for s in found] == [f"CASCADE − DEEBERT, at {t}×" for t in (2, 3, 4)]
        assert {s.verdict for s in found} == {verdict}
    roles, evidence = look([good, deebert()], rivals=["deebert"])
    for statistic, target in zip(compute_statistics(roles, evidence), (2, 3, 4), strict=False):
        gap = score(evidence, "cascade", target) - score(evidence, "deebert", target)
        assert statistic.value == pytest.approx(gap)


def test_what_is_the_same_is_undecided():
    same = deebert("deebert")
    other = SystemPredictions("words", "same", same.rule, "accuracy", 12.0, same.candidates)
    found = compute_statistics(*look([same, other], rivals=["same"]))
    assert {s.claim for s in found} == {claims.BEATS, claims.GROWS}
    assert {(s.value, s.verdict) for s in found} == {(0, "undecided")}


def test_the_gap_grows_or_shrinks_with_the_speedup():
    # All exits of the rival are alike: it loses nothing by speed, the cascade does.
    flat = deebert("flat", 0.8, 0.8)
    for rival, verdict in ((deebert(), "holds"), (flat, "does not hold")):
        systems = [cascade("cascade"), rival]
        roles, evidence = look(systems, rivals=[rival.system])
        [change] = [s for s in compute_statistics(roles, evidence) if s.claim == claims.GROWS]
        gaps = [
            score(evidence, "cascade", target) - score(evidence, rival.system, target)
            for target in (2, 4)
        ]
        assert change.value == pytest.approx(gaps[1] - gaps[0])
        assert change.label.endswith("at 4× less at 2×")
        assert change.verdict == verdict
        weak = replace(evidence, probes=mark(evidence.systems, [rival.system]))
        [change] = [s for s in compute_statistics(roles, weak) if s.claim == claims.GROWS]
        assert change.verdict == (claims.UNDERTRAINED if verdict == "holds" else verdict)


def test_a_gap_at_a_single_common_target_cannot_grow():
    # Nine layers at least: the rival reaches 1.3x but no other target.
    slow = made("slow", "entropy", (9, 10, 11, 12), (0.8, 0.82, 0.84, 0.9))
    roles, evidence = look([cascade("cascade"), slow], rivals=["slow"], targets=(1.3, 3, 4))
    found = compute_statistics(roles, evidence)
    assert [(s.claim, s.label) for s in found] == [(claims.BEATS, "CASCADE − SLOW, at 1.3×")]
    _, display = table_claims(tabulate_statistics(found, evidence.points))
    # There is such a system, so that alone is not what the claim lacks.
    lacking = "that the cascade ends in, and two targets that both reach)"
    assert f"{claims.GROWS.name} (needs {claims.EARLY_EXIT}" in display.caption
    assert display.caption.count(lacking) == 1


@pytest.mark.parametrize("metric", ["accuracy", "f1"])
def test_series_are_compared_at_equal_depth(metric):
    common = {"metric": metric}
    systems = [
        deebert(**common),
        *(single(f"first-{k}", k, 0.7 + 0.01 * k, **common) for k in range(1, 13)),
        *(single(f"complete-{k}", k, 0.85, **common) for k in (2, 4)),
    ]
    series = {
        "Ramps": ["deebert"],
        "First": [f"first-{k}" for k in range(1, 13)],
        "Complete": ["complete-2", "complete-4", "first-12"],
    }
    found = of_claim(claims.SERIES, systems, series=series)
    # At 12 layers First and Complete are the same model.
    assert [s.label for s in found] == [
        f"First − Ramps, mean over depths {', '.join(map(str, range(1, 12)))} and 12",
        "Complete − First, mean over depths 2 and 4",
    ]

    def value(predictions, e):
        answers, labels = predictions.predicted[:, e], predictions.labels
        if metric == "accuracy":
            return 100 * np.mean([a == b for a, b in zip(answers, labels, strict=True)])
        true = sum(a == b == 1 for a, b in zip(answers, labels, strict=True))
        return 100 * 2 * true / (sum(answers == 1) + sum(labels == 1))

    of = {system.system: system.candidates[""] for system in systems}
    scores = [
        [np.mean([value(r["test"], 0) for r in of[f"{kind}-{k}"]]) for k in (2, 4)]
        for kind in ("complete", "first")
    ]
    assert found[1].value == pytest.approx(np.mean(scores[0]) - np.mean(scores[1]))
    ramps = [np.mean([value(r["test"], k - 1) for r in of["deebert"]]) for k in range(1, 13)]
    first = [np.mean([value(r["test"], 0) for r in of[f"first-{k}"]]) for k in range(1, 13)]
    assert found[0].value == pytest.approx(np.mean(first) - np.mean(ramps))
    assert found[1].verdict == "holds"
    turned = dict(reversed(series.items()))
    assert of_claim(claims.SERIES, systems, series=turned)[0].verdict == "does not hold"


def test_intervals_are_those_of_a_bootstrap_by_hand():
    systems = [single(key, 2, a, n=300) for key, a in (("first", 0.75), ("complete", 0.8))]
    series = {"First": ["first"], "Complete": ["complete"]}
    [found] = of_claim(claims.SERIES, systems, series=series, resampling=Resampling(3, 4000))
    right = [
        np.array([s["test"].predicted[:, 0] == s["test"].labels for s in system.candidates[""]])
        for system in systems
    ]
    rng, values = np.random.default_rng(0), []
    for _ in range(4000):
        examples = rng.integers(300, size=300)
        first, complete = (side[rng.integers(2, size=2)][:, examples].mean() for side in right)
        values.append(100 * (complete - first))
    assert found.value == pytest.approx(5)
    assert [found.low, found.high] == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.5)


@pytest.mark.parametrize("missing", [[], ["c"]])  # not run, or at no depth of the series before
def test_a_claim_of_three_series_is_open_where_two_cannot_be_compared(missing):
    systems = [single("a", 4, 0.7), single("b", 4, 0.9), single("c", 2, 0.8)]
    series = {"A": ["a"], "B": ["b"], "C": missing}
    roles, evidence = look(systems, series=series)
    compared, other = compute_statistics(roles, evidence)
    assert compared.verdict == "holds"
    assert (other.label, other.verdict) == ("C − B, mean over depths", "undecided")
    assert np.isnan([other.value, other.low, other.high]).all()
    table = tabulate_statistics([compared, other], evidence.points)
    assert list(table["verdict"]) == ["holds", "undecided", "undecided"]
    _, display = table_claims(table)
    notes = {mark: note for note, mark in display.notes.items()}
    [of_pair] = [row for row in display.rows if row[0].text.startswith("C − B")]
    assert of_pair[2].text == NOTHING
    assert notes[of_pair[2].mark].startswith("the two series share no depth")


def test_the_full_model_is_no_evidence_against_itself_under_another_name():
    ramps = deebert(n=300)
    full = [
        {s: replace(p, logits=p.logits[:, -1:], costs=p.costs[-1:]) for s, p in splits.items()}
        for splits in ramps.candidates[""]
    ]
    whole = SystemPredictions("words", "whole", RULES["last"], "accuracy", 12.0, {"": full})
    systems = [ramps, single("small", 2, 0.8, n=300), whole]
    series = {"Ramps": ["deebert"], "Complete": ["small", "whole"]}
    [found] = of_claim(claims.SERIES, systems, series=series)
    assert found.label == "Complete − Ramps, mean over depths 2"


@pytest.mark.parametrize(
    ("sharpness", "verdict"),
    [
        (np.linspace(0.5, 3, 12), "holds"),
        (np.linspace(3, 0.5, 12), "does not hold"),
    ],
)
def test_dis_grows_with_depth(sharpness, verdict):
    system = deebert(sharpness=sharpness, n=200)
    [found] = of_claim(claims.DEPTH, [system], series={"DeeBERT": ["deebert"]})
    assert found.label == "DIS of DEEBERT, slope over layers"
    assert found.verdict == verdict
    slopes = []
    for replicate in system.candidates[""]:
        predictions, dis = replicate["test"], []
        for e in range(12):
            right = predictions.predicted[:, e] == predictions.labels
            confidence = predictions.confidence[:, e]
            pairs = [(i, j) for i in np.flatnonzero(right) for j in np.flatnonzero(~right)]
            dis.append(100 * np.mean([confidence[i] >= confidence[j] for i, j in pairs]))
        slopes.append(np.polyfit(TWELVE, dis, 1)[0])
    assert found.value == pytest.approx(np.mean(slopes))


def test_dar_calibrates_the_smallest_model_at_little_cost():
    better = cascade("dar", sharpness=(2.0, 2.0), overconfidence=2.0)
    worse = cascade("plain", sharpness=(1.0, 2.0), overconfidence=5.0)
    conditions = {claims.DAR_DIS: "> 0", claims.DAR_ECE: "< 0", claims.DAR_ACCURACY: "> -1"}
    for pair, verdict in (((better, worse), "holds"), ((worse, better), "does not hold")):
        full, without = (system.system for system in pair)
        found = {s.claim: s for s in compute_statistics(*look(pair, ablations={full: without}))}
        assert {c: f"{found[c].side} {found[c].bound}" for c in conditions} == conditions
        assert found[claims.DAR_DIS].verdict == found[claims.DAR_ECE].verdict == verdict
        assert found[claims.DAR_ACCURACY].value == pytest.approx(0)
        assert found[claims.DAR].verdict == verdict
        assert found[claims.DAR_DIS].label == f"DIS of {full.upper()} − {without.upper()}"
    costly = cascade("dar", small=0.81)
    [cost] = of_claim(claims.DAR_ACCURACY, [costly, worse], ablations={"dar": "plain"})
    assert cost.value == pytest.approx(-7, abs=0.1)
    assert cost.verdict == "does not hold"


def test_a_third_model_helps_less_at_high_speed():
    two = cascade("two", 0.8, 0.85)
    # At high speed most leave at the first model, which is the same.
    three = made("three", "confidences", (2, 8, 20), (0.8, 0.97, 0.97))
    roles, evidence = look([two, three], extensions={"three": "two"}, targets=(1.3, 2, 4))
    found = compute_statistics(roles, evidence)
    assert [s.label for s in found if s.claim == claims.THIRD] == [
        f"THREE − TWO, at {target}×" for target in ("1.3", "2", "4")
    ]
    [less] = [s for s in found if s.claim == claims.THIRD_LESS]
    gains = [score(evidence, "three", t) - score(evidence, "two", t) for t in (1.3, 4)]
    assert less.value == pytest.approx(gains[1] - gains[0])
    assert (less.side, less.verdict) == ("<", "holds")
    backwards = of_claim(
        claims.THIRD_LESS, [three, two], extensions={"two": "three"}, targets=(1.3, 2, 4)
    )
    assert [s.verdict for s in backwards] == ["does not hold"]


def test_a_complete_small_model_is_compared_with_first_layers():
    systems = [cascade("complete", 0.85, 0.95), cascade("cut", 0.6, 0.95)]
    found = of_claim(claims.COMPLETE, systems, truncations={"cut": "complete"})
    assert [s.label for s in found] == [f"COMPLETE − CUT, at {target}×" for target in (2, 3, 4)]
    assert {(s.side, s.bound) for s in found} == {(">", 0)}
    assert found[-1].verdict == "holds"


def test_who_the_rivals_are():
    default = yaml.safe_load((ROOT / "config.yaml").read_text())
    assert Experiment(default).rivals == ["deebert", "deebert-mean", "pabee", "linear"]
    paper = yaml.safe_load((ROOT / "config" / "paper.yaml").read_text())
    # Not those on RoBERTa: the proposed cascade ends in BERT.
    assert Experiment(resolve(default, paper)).rivals == ["deebert", "pabee", "fastbert", "linear"]


def found_on(places: list[str]) -> pd.DataFrame:
    """Claims on several tasks, on one of which the cascade is bad."""
    frames = []
    for place in places:
        accuracies = (0.6, 0.7) if place == "bad" else (0.88, 0.95)
        roles, evidence = look([cascade("cascade", *accuracies), deebert()], rivals=["deebert"])
        points = evidence.points.assign(task=place)
        frames.append(tabulate_statistics(compute_statistics(roles, evidence), points))
    return pd.concat(frames, ignore_index=True)


def test_the_table_counts_where_a_claim_holds():
    table, display = table_claims(found_on(["movies", "news", "bad"]))
    beats = table[table["claim"] == claims.BEATS.name]
    at = beats[beats["statistic"] == ALL].set_index("task")["verdict"]
    assert dict(at) == {
        "movies": "holds",
        "news": "holds",
        "bad": "does not hold",
        ALL: "holds in 2 of 3",
    }
    first = display.blocks[0][0]
    assert first[0].text == "A cascade beats early exits\n(Section 4.3)"
    assert [cell.text for cell in first[2:]] == ["holds", "holds", "does not hold", "2 of 3"]
    row = beats[(beats["task"] == "movies") & (beats["statistic"] == "CASCADE − DEEBERT, at 2×")]
    value, interval, verdict = display.blocks[0][1][2].text.split("\n")
    assert value == f"+{row['value'].iloc[0]:.1f}"
    assert interval.startswith("[+")
    assert verdict == row["verdict"].iloc[0] == "holds"
    assert row["holds_if"].iloc[0] == "> 0"
    assert len(set(map(len, [display.header, *display.rows]))) == 1
    assert "holds in" not in to_markdown(display)


def test_one_statistic_refutes_a_claim_and_one_leaves_it_open():
    numbers = {"holds": (1, 2), "undecided": (-1, 2), "does not hold": (-2, -1)}
    numbers[claims.UNDERTRAINED] = numbers["holds"]
    points = pd.DataFrame([{"task": "t", "split": "test", "n": 10, "replicates": 2}])
    for verdicts, expected in (
        (["holds", "holds"], "holds"),
        (["holds", "undecided"], "undecided"),
        (["undecided", "does not hold", "holds"], "does not hold"),
        (["holds", claims.UNDERTRAINED], claims.UNDERTRAINED),
        (["undecided", claims.UNDERTRAINED], "undecided"),
    ):
        found = [
            Statistic(claims.DAR, str(i), ">", 0, 0, *numbers[verdict], "rival" in verdict)
            for i, verdict in enumerate(verdicts)
        ]
        frame = tabulate_statistics(found, points)
        assert list(frame["verdict"]) == [*verdicts, expected]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holms_adjustment_is_his_procedure(p_values):
    """Reject from the smallest on while p <= level / (how many are left)."""
    adjusted = claims.adjust_by_holm(p_values)
    for level in (0.01, 0.05, 0.3, 0.9):
        rejected = set()
        for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
            if p_values[i] * (len(p_values) - rank) > level:
                break
            rejected.add(i)
        assert {i for i, p in enumerate(adjusted) if p <= level} == rejected


def test_holms_adjustment_of_an_example():
    assert claims.adjust_by_holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx(
        [0.03, 0.06, 0.06, 0.02]
    )
    assert claims.adjust_by_holm([float("nan"), 0.01]) == pytest.approx([1, 0.02])
    assert claims.adjust_by_holm([]) == []


def test_a_statistic_barely_decided_is_undecided_among_many():
    barely = Statistic(claims.DAR, "barely", ">", 0, 2.0, 0.1, 3.9)
    clearly = Statistic(claims.DAR, "clearly", ">", 0, 2.0, 1.0, 3.0)
    weak = Statistic(claims.DAR, "weak", ">", 0, 2.0, 0.1, 3.9, undertrained=True)
    assert barely.verdict == clearly.verdict == "holds"
    assert 0.03 < barely.p_value < 0.05
    [(p, verdict)] = claims.correct_verdicts([barely])
    assert (p, verdict) == (barely.p_value, "holds")
    skewed = barely._replace(value=1.0)
    assert skewed.p_value > 0.05
    assert claims.correct_verdicts([skewed]) == [(skewed.p_value, "holds")]
    # The value is tested against the bound.
    cost = barely._replace(bound=-1, value=1.0, low=-0.9, high=2.9)
    assert cost.p_value == pytest.approx(barely.p_value)
    of_three = claims.correct_verdicts([barely, clearly, weak])
    assert [verdict for _, verdict in of_three] == ["undecided", "holds", claims.UNDERTRAINED]

    points = pd.DataFrame([{"task": "t", "split": "test", "n": 10, "replicates": 2}])
    others = [barely._replace(claim=claims.BEATS), barely._replace(label="again")]
    frame = tabulate_statistics([barely, clearly, *others], points)
    of_another = frame["claim"] == claims.BEATS.name
    assert list(frame["verdict_holm"][of_another]) == ["holds"] * 2  # the only one of its claim
    frame = frame[~of_another]
    assert list(frame["verdict"]) == ["holds"] * 4
    # The claim holds where each statistic does by itself; its corrected "holds" is no weaker.
    assert list(frame["verdict_holm"]) == ["undecided", "holds", "undecided", "holds"]
    assert frame["p_holm"].iloc[0] == pytest.approx(2 * barely.p_value)
    _, display = table_claims(frame)
    shown = [row[2].text for row in display.blocks[0]]
    assert shown[0] == "holds"
    assert shown[1].endswith("\nholds\n(Holm: undecided)")
    assert shown[2].endswith("]\nholds")

    # "Does not hold", which one statistic decides, is corrected.
    against = barely._replace(label="against", value=-2.0, low=-3.9, high=-0.1)
    frame = tabulate_statistics([against, barely, clearly], points)
    assert list(frame["verdict"])[-1] == "does not hold"
    assert list(frame["verdict_holm"])[-1] == "undecided"


def test_what_cannot_be_had_has_its_reason():
    points = pd.DataFrame([{"task": "t", "split": "test", "n": 10, "replicates": 2}])
    nan = float("nan")
    undefined = Statistic(claims.DEPTH, "DIS", ">", 0, nan, nan, nan)
    gap = Statistic(claims.BEATS, "A − B, at 4×", ">", 0, 1.0, 0.5, 2)
    frame = pd.concat(
        [
            tabulate_statistics([undefined, gap], points),
            tabulate_statistics([undefined], points.assign(task="u")),
        ]
    )
    _, display = table_claims(frame)
    notes = {mark: note for note, mark in display.notes.items()}
    cells = [cell for row in display.rows for cell in row if cell.text == NOTHING]
    assert len(cells) == 4  # DIS on both; the gap, and so its claim, on u
    assert {notes[cell.mark].split(":")[0] for cell in cells} == {
        "undefined",
        "a system has no operating point at this speed-up",
    }
    beats = display.blocks[1]
    assert [row[-1].text for row in beats] == ["1 of 1", "1 of 1"]


def test_claims_without_their_systems_are_named():
    _, display = table_claims(found_on(["movies"]))
    for claim in CLAIMS:
        named = f"{claim.name} (needs {claim.needs})" in display.caption
        assert named == (claim not in (claims.BEATS, claims.GROWS))
    table, nothing = table_claims(
        tabulate_statistics(
            [], pd.DataFrame([dict.fromkeys(["task", "split", "n", "replicates"], 1)])
        )
    )
    assert table.empty
    assert nothing.caption.count("needs") == len(CLAIMS)


def test_claims_are_about_the_systems_that_were_run():
    systems = [cascade("cascade"), cascade("plain"), deebert(), single("bert-4l", 4, 0.8)]
    series = {"Early": ["deebert"], "First layers": ["bert-4l", "bert-6l"]}
    roles, evidence = look(systems, rivals=["deebert"], ablations={"cascade": "plain"})
    keys = ["cascade", "plain", "deebert", "pabee", "bert-4l", "bert-6l"]
    wanted = Roles(
        titles=dict.fromkeys(keys, "title"),
        proposed="cascade",
        rivals=["deebert", "pabee"],
        ablations={"cascade": "plain"},
        extensions={"long": "cascade"},
        truncations={"cut": "cascade"},
        series=series,
    )
    known = wanted.keep(evidence.systems)
    assert (known.rivals, known.ablations) == (roles.rivals, roles.ablations)
    assert (known.extensions, known.truncations) == ({}, {})
    assert known.series == {"Early": ["deebert"], "First layers": ["bert-4l"]}
    assert wanted.keep(["cascade"]).ablations == {}
    assert {claims.BEATS, claims.DAR} <= {s.claim for s in compute_statistics(known, evidence)}


def test_a_claim_that_a_task_lacks_a_system_for_says_so():
    table = found_on(["movies", "news"])
    lost = (table["task"] == "news") & (table["claim"] == claims.BEATS.name)
    _, display = table_claims(table[~lost], incomplete={"news"})
    notes = {mark: note for note, mark in display.notes.items()}
    [verdict, *_] = [row[3] for row in display.blocks[0]]
    assert notes[verdict.mark].endswith("no operating point at this speed-up, or was not run")
