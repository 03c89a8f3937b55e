import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascadebert.evaluation import claims
from cascadebert.evaluation.claims import Statistic, tabulate_statistics
from cascadebert.evaluation.intervals import judge_interval
from cascadebert.reporting.claims import table_claims
from cascadebert.reporting.findings import Frames, Subject
from cascadebert.reporting.grid import describe_sizes
from cascadebert.reporting.summary import write_summary
from cascadebert.reporting.wording import judge_dar
from tests.simulation import ABLATIONS, TITLES, frames

core = pytest.importorskip("docutils.core")
jinja2 = pytest.importorskip("jinja2")

NAMES = {"full": "Full", "rival": "Rival", "cascade": "Cascade", "plain": "Cascade w/o DAR"}


CLAIMS = table_claims(
    pd.concat(
        tabulate_statistics(
            [
                Statistic(claims.BEATS, "Cascade − Rival, at 2×", ">", 0, 1.5, 1, 2),
                Statistic(
                    claims.DAR, "Cascade − Plain, at 2×", ">", 0, middle, middle - 1, middle + 1
                ),
            ],
            pd.DataFrame([{"task": task, "split": "test", "n": 9, "replicates": 1}]),
        )
        for task, middle in (("t", 0.5), ("u", 3), ("v", -0.5))
    )
)[0]


def page(
    f,
    titles=TITLES,
    ablations=ABLATIONS,
    proposed="cascadebert",
    claims=CLAIMS,
    missing=(),
    doubts=(),
    settings=1,
    **out,
) -> str:
    names = ("points", "differences", "exits", "exit_differences")
    frames = Frames(**{name: f[name] for name in names}, claims=claims)
    full = "full" if "full" in titles else "bert-12l"
    subject = Subject("run", proposed, titles, ablations, full, missing, doubts, settings=settings)
    return write_summary(frames, subject, **out)


def as_report(text: str) -> str:
    """The page as Snakemake renders it, tags removed; any complaint of docutils is an error."""
    rendered = jinja2.Environment(trim_blocks=True, lstrip_blocks=True).from_string(text).render()
    parts = core.publish_parts(rendered, writer="html", settings_overrides={"halt_level": 2})
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", parts["html_body"]))


def made_up(score=82.0, rival=80.0, gain=(0.5, 0.2, 0.8), dis=(2.0, 1.0, 3.0), ece=(-3, -4, -2)):
    """A cascade of 3.1x against a full model of 85.0, with differences as given."""

    def point(system, target, score, speedup, note=""):
        return {"task": "t", "system": system, "split": "test", "target_speedup": target,
                "speedup": speedup, "metric": "accuracy", "score": score, "low": score - 1,
                "high": score + 1, "n": 1500, "replicates": 3, "candidate": "", "knob": 0.5,
                "note": note, "undertrained": False}  # fmt: skip

    points = [
        point("full", 1.0, 85.0, 1.0),
        point("rival", 3.0, rival, 2.9),
        point("cascade", 3.0, score, 3.1),
        point("plain", 3.0, score - gain[0], 3.0),
    ]
    lost = score - 85.0
    ahead = score - rival
    differences = [
        ("full", lost, lost - 0.9, lost + 0.9),
        ("rival", ahead, ahead - 1, ahead + 1),
        ("plain", *gain),
    ]
    exits, exit_differences = [], []
    for measure, change in (("accuracy", (-0.2, -1, 0.6)), ("dis", dis), ("ece", ece)):
        common = {"task": "t", "split": "test", "exit": 1, "measure": measure}
        exits += [common | {"system": "cascade", "score": 70 + change[0]}]
        exits += [common | {"system": "plain", "score": 70.0}]
        values = dict(zip(("difference", "low", "high"), change, strict=True))
        exit_differences.append(common | {"system": "cascade", "against": "plain"} | values)
    columns = ["against", "difference", "low", "high"]
    common = {"task": "t", "split": "test", "target_speedup": 3.0, "system": "cascade"}
    return {
        "points": pd.DataFrame(points),
        "differences": pd.DataFrame(differences, columns=columns).assign(**common),
        "exits": pd.DataFrame(exits),
        "exit_differences": pd.DataFrame(exit_differences),
    }


def told(**changes) -> str:
    return as_report(page(made_up(**changes), NAMES, {"cascade": "plain"}, "cascade"))


def test_it_says_how_much_faster_at_what_loss():
    assert (
        "Cascade is 3.1× faster than Full and loses 3.0 points of accuracy "
        "(85.0 → 82.0; 95% interval −3.9 to −2.1)"
    ) in told()
    assert "gains 2.0 points" in told(score=87.0)
    assert "loses 0.3 points of accuracy (85.0 → 84.7; 95% interval −1.2 to +0.6, undecided)" in (
        told(score=84.7)
    )


def test_it_says_plainly_where_the_cascade_does_not_win():
    wins, loses, open_ = told(rival=80.0), told(rival=84.0), told(rival=82.5)
    assert "At 3× it is better than Rival. The highest score there is its own (82.0)." in wins
    assert "better than another system in 1 of 1 comparisons, worse in 0" in wins
    assert "At 3× it is worse than Rival. The highest score there is not its 82.0" in loses
    assert "84.0 (Rival)" in loses
    assert "Its score is the highest, alone or shared, at 1 of 1 target speed-ups." in wins
    assert "Its score is the highest, alone or shared, at 0 of 1 target speed-ups." in loses
    assert "better than another system in 0 of 1 comparisons, worse in 1" in loses
    assert "not told apart from Rival" in open_


def test_dar_helps_hurts_or_is_undecided_by_the_interval_alone():
    assert "DAR helps the cascade at every speed-up: +0.5 at 3×" in told()
    assert "DAR hurts the cascade" in told(gain=(-0.5, -0.8, -0.2))
    assert "Whether DAR helps the cascade is undecided: +0.5" in told(gain=(0.5, -0.1, 1.1))
    assert "takes DIS from 70.0 to 72.0 (+2.0; +1.0 to +3.0: helps)" in told()
    assert "ECE from 70.0 to 67.0 (−3.0; −4.0 to −2.0: helps)" in told()
    assert "ECE from 70.0 to 73.0 (+3.0; +2.0 to +4.0: hurts)" in told(ece=(3, 2, 4))
    assert "accuracy from 70.0 to 69.8 (−0.2; −1.0 to +0.6: undecided)" in told()


@given(st.floats(-5, 5), st.floats(0, 5))
def test_verdict_is_the_side_of_zero_on_which_the_whole_interval_lies(middle, half):
    low, high = middle - half, middle + half
    inside = low <= 0 <= high
    assert (judge_interval(low, high) == 0) == inside
    assert judge_dar(low, high) == judge_dar(-high, -low, "ece")


def test_undecided_without_an_interval():
    assert judge_interval(float("nan"), float("nan")) == 0


def test_every_number_of_the_real_frames_is_there():
    f = frames()
    text = as_report(page(f))
    for row in f["points"].dropna(subset="score").itertuples():
        if row.system.startswith("cascadebert"):
            assert f"{row.score:.1f} at {row.speedup:.2f}×" in text
    assert f["points"]["score"].notna().all()
    assert "not reachable" not in text
    assert "nan" not in re.findall(r"\w+", text)


def test_a_measure_that_is_undefined_is_said_to_be():
    """The smallest model without DAR has no wrong answer, so that its DIS is undefined."""
    f = made_up(dis=(np.nan, np.nan, np.nan))
    of_dis = f["exits"]["measure"] == "dis"
    f["exits"].loc[of_dis, "score"] = [70.0, np.nan]
    text = as_report(page(f, NAMES, {"cascade": "plain"}, "cascade"))
    assert "nan" not in re.findall(r"\w+", text)
    assert "In the smallest model it takes ECE from 70.0 to 67.0" in text
    assert "DIS of a smallest model is undefined: no example, or every one, is right." in text
    assert "DIS of the smallest model 70.0 — — undecided" in text


def test_a_target_that_a_system_does_not_reach_is_said():
    f = frames()
    points = f["points"].copy()
    missed = (points["system"] == "pabee") & (points["target_speedup"] == 4)
    points.loc[missed, "score"] = np.nan
    points.loc[missed, "note"] = "not reachable: nearest speed-up on dev is 3.70x"
    text = as_report(page({**f, "points": points}))
    assert "PABEE at 4× on movies: not reachable: nearest speed-up on dev is 3.70×" in text


def test_it_says_among_how_many_settings_each_system_chose():
    said = "Every system was trained with 4 settings."
    assert said in as_report(page(made_up(), NAMES, {}, "cascade", settings=4))
    assert "settings" not in as_report(page(made_up(), NAMES, {}, "cascade"))


def test_it_warns_of_thresholds_chosen_on_the_scored_split():
    warning = "thresholds were chosen on the dev split that is scored"
    assert warning in as_report(page(frames(split="dev")))
    assert warning not in as_report(page(frames()))


def test_a_section_for_every_task():
    f = {
        name: frame.set_axis([0] * len(frame)) for name, frame in frames(("movies", "rte")).items()
    }
    text = as_report(page(f))
    assert "movies (test)" in text
    assert "rte (test)" in text


def test_odd_names_come_through_docutils_and_jinja():
    odd = {key: f"{title} {{{{x}}}} *a* `b` |c| _d_::" for key, title in TITLES.items()}
    assert "DeeBERT {{x}} *a* `b` |c| _d_::" in as_report(page(frames(), odd))


def test_without_a_system_without_dar_it_does_not_ask_about_it():
    f = made_up()
    assert "DAR" in as_report(page(f, NAMES, {"cascade": "plain"}, "cascade"))
    text = as_report(page(f, NAMES | {"plain": "Plain"}, {}, "cascade", claims=CLAIMS[:0]))
    assert "How much faster is Cascade, and at what loss?" in text
    assert "DAR" not in text


def test_doubts_about_the_data_stand_before_the_method():
    doubt = "films: 9 of 80 rows of test have a text that is in train, too."
    text = as_report(page(made_up(), NAMES, {}, "cascade", doubts=[doubt]))
    _, caveats = text.split("Before you quote this")
    assert caveats.index(doubt) < caveats.index("Scores are means")


def test_a_rival_that_stands_at_speed_one_only_is_no_rival_at_equal_speed():
    f = made_up()
    slow = f["points"]["system"] == "rival"
    f["points"].loc[slow, ["target_speedup", "speedup"]] = [1.0, 1.0]
    f["points"] = pd.concat([f["points"], f["points"][slow].assign(target_speedup=2.0)])
    text = as_report(page(f, NAMES, {"cascade": "plain"}, "cascade"))
    assert "There is no other system to compare with at equal speed" in text


def test_a_lone_system_has_no_differences_to_speak_of():
    f = made_up()
    alone = {key: frame[frame["system"] == "cascade"] for key, frame in f.items()}
    empty = {key: alone[key].iloc[:0] for key in ("differences", "exit_differences")}
    text = as_report(page(alone | empty, {"cascade": "Cascade"}, {}, "cascade", CLAIMS.iloc[:0]))
    assert "There is no other system to compare with at equal speed" in text
    assert "differences are judged here" not in text
    assert "The numbers behind it" not in text


def test_it_says_first_what_is_missing():
    f = made_up()
    gone = f["points"]["system"] == "plain"
    f["points"].loc[gone, ["score", "speedup", "note"]] = [float("nan"), float("nan"), "not run"]
    f["points"].loc[gone, "target_speedup"] = float("nan")
    for name in ("differences", "exit_differences"):
        f[name] = f[name][f[name]["against"] != "plain"]
    missing = ["The task u is left out.", "Not run on t: Cascade w/o DAR."]
    text = as_report(page(f, NAMES, {"cascade": "plain"}, "cascade", missing=missing))
    assert "Not all of it was run" in text
    assert "Cascade w/o DAR was not run here." in text
    assert text.index(missing[0]) < text.index(missing[1]) < text.index("Scores are means")
    assert "nan" not in re.findall(r"\w+", text)
    assert "Not all of it was run" not in told()


def test_it_counts_the_verdicts_on_the_claims():
    heading = "The paper's claims here"
    _, told = as_report(page(frames())).split(heading)
    told, _ = told.split("The numbers behind it")
    assert "Claim holds undecided does not hold" in told
    assert "A cascade beats early exits 3 0 0" in told
    assert "DAR helps the cascade 1 2 0" in told
    assert heading not in as_report(page(frames(), claims=CLAIMS[:0]))


def test_the_figure_is_embedded_below_the_text(tmp_path):
    figure = tmp_path / "figure.png"
    figure.write_bytes(b"\x89PNG" * 5000)
    text = page(frames(), figure=figure)
    assert max(map(len, text.split("base64,")[1].splitlines())) < 200
    rendered = core.publish_parts(text, writer="html")["html_body"]
    assert 'src="data:image/png;base64,iVBO' in rendered.replace("\n", "")


def test_it_warns_of_undertrained_rivals():
    f = made_up()
    assert "undertrained" not in as_report(page(f, NAMES, {"cascade": "plain"}, "cascade"))
    f["points"]["undertrained"] = f["points"]["system"] == "rival"
    told = as_report(page(f, NAMES, {"cascade": "plain"}, "cascade"))
    assert "Rival is undertrained on t (test): one of its exits lies more than 2 points" in told


def test_wins_over_undertrained_rivals_and_at_another_speed_do_not_count():
    f = made_up()  # Cascade 82.0, Rival 80.0
    rival = f["points"]["system"] == "rival"
    f["points"].loc[rival, "undertrained"] = True
    one = f["points"][rival]
    beside = [("slow", 86.0, 2.6), ("quick", 70.0, 3.5), ("exact", 81.0, 3.0)]
    for key, score, speedup in beside:
        row = {"system": key, "score": score, "speedup": speedup, "knob": np.nan}
        row["undertrained"] = False
        f["points"] = pd.concat([f["points"], one.assign(**row)])
        versus = f["differences"].iloc[[1]].assign(against=key, difference=82 - score)
        versus = versus.assign(low=81 - score, high=83 - score)
        f["differences"] = pd.concat([f["differences"], versus])
    names = NAMES | {key: key.title() for key, _, _ in beside}
    text = as_report(page(f, names, {"cascade": "plain"}, "cascade"))
    assert (
        "better than another system in 0 of 1 comparisons, worse in 0, and undecided in 1" in text
    )
    assert "the highest, alone or shared, at 1 of 1 target speed-ups" in text
    assert "At 3× it is not told apart from Exact. The highest score there is its own" in text
    said = "Slow and Quick (more than 1% off the target speed-up); Rival (undertrained)."
    assert f"Not counted here: {said}" in text
    assert "Slow: 86.0 at 2.60×" in text  # the table below has all
    assert "Not counted here" not in told()
    # Without a fair rival there is nothing to count.
    f["points"] = f["points"][f["points"]["system"] != "exact"]
    text = as_report(page(f, names, {"cascade": "plain"}, "cascade"))
    assert f"no other system to compare with at equal speed. Not counted here: {said}" in text


def test_a_task_without_a_fair_rival_counts_for_nothing():
    one, other = made_up(), made_up(score=60.0)
    other["points"].loc[other["points"]["system"] == "rival", "undertrained"] = True
    both = {name: pd.concat([one[name], other[name].assign(task="u")]) for name in one}
    text = as_report(page(both, NAMES, {"cascade": "plain"}, "cascade"))
    assert "better than another system in 1 of 1 comparisons" in text
    assert "the highest, alone or shared, at 1 of 1 target speed-ups" in text
    assert "Not counted here: Rival on u (undertrained)." in text


def test_the_highest_score_is_the_one_that_the_tables_print():
    """They print 86.35 as 86.3, where NumPy rounds to 86.4."""
    f = dict(frames(("movies",)))
    points = f["points"].copy()
    at = points["target_speedup"] == 2
    points.loc[at, "score"] = 80.0
    points.loc[at & (points["system"] == "cascadebert"), "score"] = 86.35
    points.loc[at & (points["system"] == "deebert"), "score"] = 86.32
    f["points"] = points
    assert "The highest score there is shared by DeeBERT and CascadeBERT (86.3)" in page(f)


def test_captions_say_what_is_in_sample():
    f = frames(("movies",))
    for name in ("curve_scores", "exits"):
        assert "flatters" not in describe_sizes(f[name])
        assert "which flatters it" in describe_sizes(f[name].assign(split="dev"))
    some = f["exits"].copy()
    some.loc[0, "replicates"] = 2
    assert describe_sizes(some) == " (movies test, n = 800); mean of 2 to 3 seeds"
