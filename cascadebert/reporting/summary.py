"""The report's first page: how much faster, at what loss, and does DAR help here?

Every sentence is computed from the evaluation's frames. A difference counts only if its 95%
interval leaves out 0.
"""

import base64
from pathlib import Path

import pandas as pd

from cascadebert.core.files import File
from cascadebert.core.text import join_words
from cascadebert.evaluation.claims import UNDERTRAINED, VERDICTS
from cascadebert.evaluation.intervals import judge_interval
from cascadebert.evaluation.measures import BELOW
from cascadebert.evaluation.points import NOT_RUN, SAME_SPLIT
from cascadebert.experiment.catalogue import ALL
from cascadebert.reporting.findings import (
    CALIBRATION,
    Findings,
    Frames,
    Subject,
    collect_findings,
)
from cascadebert.reporting.grid import (
    METRICS,
    NOTHING,
    UNDEFINED,
    Place,
    list_columns,
    select_place,
)
from cascadebert.reporting.typeset import Cell, Display, rst_escape, to_rst
from cascadebert.reporting.wording import (
    format_ends,
    format_loss,
    format_note,
    format_signed,
    judge_dar,
    round_as_printed,
    summarise_effects,
)

# Snakemake centres its landing page on the screen, so that the top of a longer page is out of
# reach. It also makes the page narrower than a table and sets all headings alike.
STYLE = """.. raw:: html

   <style>
   .h-screen.overflow-auto { align-items: flex-start; }
   .prose.max-w-lg { max-width: 46rem; }
   .prose h1:not(.title), .prose h2 { font-size: 1.3rem; }
   .prose img { max-width: 34rem; }
   </style>"""


def write_summary(frames: Frames, subject: Subject, figure: File | None = None) -> str:
    """The landing page as reStructuredText that goes through Jinja unchanged.

    figure: PNG to show on the page
    """
    findings = collect_findings(frames, subject)
    places = list_columns(frames.points)
    name = rst_escape(subject.name)
    question = ", at what loss, and does DAR help?" if subject.plain else ", and at what loss?"
    parts = [_underline(f"How much faster is {name}{question}", "=")]
    parts.append(f"Experiment *{rst_escape(subject.experiment)}*. {_count_comparisons(findings)}")
    if subject.missing:
        parts.append(
            "**Not all of it was run**: the list under *Before you quote this* begins with what is "
            "missing."
        )
    for place in places:
        parts.append(_underline(rst_escape(_name_place(place)), "-"))
        answers = {
            "Speed and loss": _describe_loss(findings, place),
            "Against the others at equal speed": _describe_rivals(findings, place),
            "DAR": _describe_dar(findings, place),
        }
        parts += [f"* **{label}.** {rst_escape(text)}" for label, text in answers.items() if text]
    if figure is not None:
        parts.append("|tradeoff|")
    if not frames.claims.empty:
        parts += [_underline("The paper's claims here", "-"), _count_claims(frames.claims)]
    tables = [f(findings, place) for place in places for f in (_tabulate_pairs, _tabulate_dar)]
    if any(tables):
        parts += [_underline("The numbers behind it", "-"), *tables]
    parts.append(_underline("Before you quote this", "-"))
    caveats = [
        *subject.missing,
        *subject.doubts,
        *_describe_method(findings),
        *_list_exceptions(findings),
        *subject.left_out,
    ]
    parts += [f"* {rst_escape(text)}" for text in caveats]
    parts.append(STYLE)
    if figure is not None:
        # At the end, so that the text above can be read in a text editor; in short lines, because
        # docutils refuses long ones.
        image = base64.encodebytes(Path(figure).read_bytes()).decode().replace("\n", "\n   ")
        parts.append(
            f".. |tradeoff| image:: data:image/png;base64,\n   {image.rstrip()}\n   :alt: trade-off"
        )
    return "\n\n".join(part for part in parts if part) + "\n"


def _count_comparisons(findings: Findings) -> str:
    """How often the proposed system is better, worse and undecided, and has the highest score."""
    rivals, scored, subject = findings.rivals, findings.contest, findings.subject
    verdicts = [judge_interval(row.low, row.high) for row in rivals.itertuples()]
    left_out = _name_left_out(findings)
    if not verdicts:
        return f"There is no other system to compare with at equal speed.{left_out}"
    # As printed, so that a reader of the tables counts the same.
    scored = scored.assign(score=scored["score"].map(round_as_printed))
    highest = [
        (block.loc[block["system"] == subject.proposed, "score"] == block["score"].max()).any()
        for _, block in scored.groupby(["task", "split", "target_speedup"])
    ]
    return (
        f"At equal target speed-ups {rst_escape(subject.name)} is better than another system in "
        f"{verdicts.count(1)} of {len(verdicts)} comparisons, worse in {verdicts.count(-1)}, "
        f"and undecided in {verdicts.count(0)}. Its score is the highest, alone or shared, at "
        f"{sum(highest)} of {len(highest)} target speed-ups.{left_out}"
    )


def _name_left_out(findings: Findings) -> str:
    """A sentence that names the systems that are not compared at some targets, and says why."""
    titles = findings.subject.titles
    told = []
    for why, systems in findings.left_out.items():
        named = [
            f"{titles[key]} on {join_words(tasks)}" if tasks else titles[key]
            for key, tasks in systems.items()
        ]
        if named:
            told.append(f"{rst_escape(join_words(named))} ({why})")
    return f" Not counted here: {'; '.join(told)}." if told else ""


def _describe_loss(findings: Findings, place: Place) -> str:
    """The speed-up over the full model and the loss, at each target."""
    name = findings.subject.name
    pieces = []
    for row in select_place(findings.lost, place).itertuples():
        first = not pieces
        than = f" than {findings.subject.titles[row.against]}" if first else ""
        of = f" of {METRICS[row.metric]}" if first else ""
        undecided = "" if judge_interval(row.low, row.high) else ", undecided"
        pieces.append(
            f"{row.speedup:.1f}× faster{than} and {format_loss(row.difference)}{of} "
            f"({row.their_score:.1f} → {row.score:.1f}; {'95% interval ' if first else ''}"
            f"{format_ends(row)}{undecided})"
        )
    if not pieces:
        return f"{name} was not compared with the full model."
    return f"{name} is {'; '.join(pieces)}."


def _describe_rivals(findings: Findings, place: Place) -> str:
    """The systems that are better, worse and undecided, at each target."""
    phrases = {1: "better than", -1: "worse than", 0: "not told apart from"}
    sentences = []
    for target, rows in select_place(findings.rivals, place).groupby("target_speedup"):
        groups = {sign: [] for sign in phrases}
        for row in rows.itertuples():
            title = findings.subject.titles[row.against]
            groups[judge_interval(row.low, row.high)].append(title)
        told = [f"{phrases[sign]} {join_words(names)}" for sign, names in groups.items() if names]
        sentences.append(f"At {target:g}× it is {'; '.join(told)}.")
        sentences.append(_describe_highest(findings, place, target))
    return " ".join(sentences)


def _describe_highest(findings: Findings, place: Place, target: float) -> str:
    """The systems with the highest score, as printed."""
    proposed = findings.subject.proposed
    here = select_place(findings.contest, place)
    here = here[here["target_speedup"] == target].set_index("system")["score"].map(round_as_printed)
    best = list(here.index[here == here.max()])
    if best == [proposed]:
        return f"The highest score there is its own ({here.max():.1f})."
    names = join_words([findings.subject.titles[system] for system in best])
    if proposed in best:
        return f"The highest score there is shared by {names} ({here.max():.1f})."
    return (
        f"The highest score there is not its {here[proposed]:.1f} but {here.max():.1f} ({names})."
    )


def _describe_dar(findings: Findings, place: Place) -> str:
    """The effect of DAR on the cascade and on the cascade's smallest model."""
    plain = findings.subject.plain
    if plain is None:
        return ""
    gained = list(select_place(findings.gained, place).itertuples())
    effects = [judge_dar(row.low, row.high) for row in gained]
    sentences = []
    if gained:
        pieces = [
            f"{format_signed(row.difference)} at {row.target_speedup:g}× "
            f"({format_ends(row)}: {effect})"
            for row, effect in zip(gained, effects, strict=True)
        ]
        sentences.append(f"{summarise_effects(effects)}: {join_words(pieces)}.")
    calibration = select_place(findings.calibration, place)
    undefined = calibration["difference"].isna()
    pieces = [
        f"{CALIBRATION[row.measure]} from {row.their_score:.1f} to {row.score:.1f} "
        f"({format_signed(row.difference)}; {format_ends(row)}: "
        f"{judge_dar(row.low, row.high, row.measure)})"
        for row in calibration[~undefined].itertuples()
    ]
    if pieces:
        sentences.append(f"In the smallest model it takes {join_words(pieces)}.")
    names = [CALIBRATION[measure] for measure in calibration["measure"][undefined]]
    if names:
        sentences.append(f"{join_words(names)} of a smallest model is {UNDEFINED}.")
    return " ".join(sentences) or f"{findings.subject.titles[plain]} was {NOT_RUN} here."


def _tabulate_pairs(findings: Findings, place: Place) -> str:
    """The proposed system less every other system, at each target."""
    subject = findings.subject
    verdicts = {1: "better", -1: "worse", 0: "undecided"}
    lines = [
        [
            f"{row.score:.1f} at {row.speedup:.2f}×",
            f"{subject.titles[row.against]}: {row.their_score:.1f} at {row.their_speedup:.2f}×",
            f"{format_signed(row.difference)} ({format_ends(row)})",
            verdicts[judge_interval(row.low, row.high)],
        ]
        for row in select_place(findings.pairs, place).itertuples()
    ]
    title = f"{_name_place(place)}: {subject.name} against the others"
    return _write_table(title, [subject.name, "Against", "Difference", "Verdict"], lines)


def _tabulate_dar(findings: Findings, place: Place) -> str:
    """The changes by DAR in the smallest model and in the cascade."""

    def show(value: float, text: str) -> str:
        return NOTHING if pd.isna(value) else text

    changed = [
        (f"{CALIBRATION[row.measure]} of the smallest model", row, row.measure)
        for row in select_place(findings.calibration, place).itertuples()
    ]
    changed += [
        (f"Cascade at {row.target_speedup:g}×", row, row.metric)
        for row in select_place(findings.gained, place).itertuples()
    ]
    lines = [
        [
            label,
            show(row.score, f"{row.score:.1f}"),
            show(row.their_score, f"{row.their_score:.1f}"),
            show(row.difference, f"{format_signed(row.difference)} ({format_ends(row)})"),
            judge_dar(row.low, row.high, measure),
        ]
        for label, row, measure in changed
    ]
    header = ["", "With DAR", "Without", "Difference", "DAR"]
    return _write_table(f"{_name_place(place)}: what DAR changes", header, lines)


def _count_claims(claims: pd.DataFrame) -> str:
    """The number of splits on which each claim holds."""
    verdicts = claims[(claims["statistic"] == ALL) & (claims["task"] != ALL)]
    found = verdicts["verdict"].replace(UNDERTRAINED, VERDICTS[0])
    counts = pd.crosstab(verdicts["claim"], found).reindex(
        verdicts["claim"].unique(), columns=list(VERDICTS.values())[::-1], fill_value=0
    )
    lines = [[claim, *map(str, row)] for claim, *row in counts.itertuples()]
    title = "Number of scored splits; the statistics are in the table of claims"
    return _write_table(title, ["Claim", *counts.columns], lines)


def _describe_method(findings: Findings) -> list[str]:
    """How scores, thresholds and intervals came about."""
    points = findings.points
    low, high = int(points["replicates"].min()), int(points["replicates"].max())
    seeds = "one seed" if high == 1 else f"{low if low == high else f'{low} to {high}'} seeds"
    sizes = points.groupby(["task", "split"], sort=False)["n"].first()
    texts = [
        f"Scores are means over {seeds} and over all examples of the split: "
        f"{join_words([f'{task} {split} {n:,}' for (task, split), n in sizes.items()])}.",
        "Thresholds (and the difficulty margin) were chosen on the development split, for each "
        "target, and applied unchanged. There a coin between two neighbouring thresholds makes the "
        "speed-up exactly the target; scores are expected values.",
    ]
    if findings.subject.settings > 1:
        texts.append(
            f"Every system was trained with {findings.subject.settings} settings. The development "
            "split chose one for each system; Table 1 has the choices."
        )
    same = points.loc[points["note"] == SAME_SPLIT, ["task", "split"]].drop_duplicates()
    texts += [
        f"{row.task} has no labelled test split: thresholds were chosen on the {row.split} "
        "split that is scored, which flatters every system that has one."
        for row in same.itertuples()
    ]
    texts.append(
        "Intervals (95%) are bootstrapped over examples and seeds, differences paired over "
        "examples. Undecided: the interval of the difference contains 0."
        + (" With so few seeds they say little about the luck of training." if high < 5 else "")
    )
    if judged := len(findings.pairs) + len(findings.calibration):
        texts.append(
            f"{judged} differences are judged here, without correction for their number: one in "
            "twenty would look decided if there were none."
        )
    return texts


def _list_exceptions(findings: Findings) -> list[str]:
    """Speed-ups off their target, undertrained systems, and targets that a system misses."""
    points, titles = findings.points, findings.subject.titles
    scored = points[points["score"].notna()]
    texts = []
    off = (scored["speedup"] / scored["target_speedup"] - 1).abs().reset_index(drop=True)
    if len(off):
        worst = scored.iloc[off.argmax()]
        counted = {
            "layers": "Speed-ups count layers, not seconds.",
            "seconds": "Speed-ups count the seconds up to each exit, measured in torch.",
        }
        texts.append(
            f"{counted[findings.subject.cost]} On the scored examples they are up to "
            f"{off.max():.0%} off their target ({titles[worst['system']]} on "
            f"{worst['task']} at {worst['target_speedup']:g}×: {worst['speedup']:.2f}×)."
        )
    undertrained = points[points["undertrained"]].drop_duplicates(["task", "split", "system"])
    texts += [
        f"{titles[row.system]} is undertrained on {row.task} ({row.split}): one of its "
        f"exits lies more than {BELOW} points below a linear probe on the states that it "
        "reads. Nothing here says how good the method is."
        for row in undertrained.itertuples()
    ]
    texts += [
        f"{titles[row.system]} at {row.target_speedup:g}× on {row.task}: {format_note(row.note)}."
        for row in points[points["score"].isna() & (points["note"] != NOT_RUN)].itertuples()
    ]
    texts.append(
        "What all this was made from and by is under Provenance, and whole in provenance.json."
    )
    return texts


def _name_place(place: Place) -> str:
    return "{} ({})".format(*place)


def _underline(text: str, character: str) -> str:
    """A heading, whose line has room for letters that are two columns wide, such as Chinese."""
    return f"{text}\n{character * 2 * len(text)}"


def _write_table(title: str, header: list[str], lines: list[list[str]]) -> str:
    if not lines:
        return ""
    display = Display("", list(map(Cell, header)), [[list(map(Cell, line)) for line in lines]])
    return f"**{rst_escape(title)}**\n\n{to_rst(display)}"
