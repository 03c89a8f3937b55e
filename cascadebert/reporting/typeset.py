"""A table for readers, in Markdown, LaTeX, HTML and reStructuredText from one description."""

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_lowercase
from typing import NamedTuple

import pandas as pd
from tabulate import tabulate

from cascadebert.core.files import File, replacing


class Cell(NamedTuple):
    """A cell of a table.

    text: one or more lines; `bold` and the footnote's `mark` belong to the first line
    """

    text: str = ""
    bold: bool = False
    mark: str = ""

    def lines(self, plain: Callable[[str], str], bold: str = "{}", mark: str = "{}") -> list[str]:
        """The lines in one format.

        plain:      escapes text for the format
        bold, mark: the format's frames, with {} for the text
        """
        first, *others = map(plain, self.text.split("\n"))
        first = bold.format(first) if self.bold and first else first
        return [first + (mark.format(self.mark) if self.mark else ""), *others]


Row = Sequence[Cell]


@dataclass
class Display:
    """A table as readers see it.

    caption: plain text: the content, the splits and the number of seeds
    header:  one cell a column; the first `labels` columns are text, the others numbers
    blocks:  groups of rows, set apart by a rule
    notes:   footnote text -> its mark, in order
    """

    caption: str
    header: Row
    blocks: Sequence[Sequence[Row]]
    labels: int = 1
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> list[Row]:
        return [row for block in self.blocks for row in block]


Table = tuple[pd.DataFrame, Display]  # one score a row, and the same for readers


class Footnotes(dict[str, str]):
    """Footnote text -> mark: a, b, c... in the order of `mark`."""

    def mark(self, text: str) -> str:
        if text not in self:
            number = len(self)
            self[text] = ascii_lowercase[number % 26] * (1 + number // 26)
        return self[text]


def write_table(table: pd.DataFrame, display: Display, path: File) -> None:
    """Writes path.html, .md and .tex for readers, and .csv with one score a row.

    path: of one of them; only the suffixes differ
    """
    path = Path(path)
    with replacing(path.with_suffix(".csv")) as draft:
        table.to_csv(draft, index=False, float_format="%.6g")
    forms = {
        ".md": to_markdown(display),
        ".tex": to_latex(display, f"tab:{path.stem}"),
        ".html": to_html(display, path.stem),
    }
    for suffix, text in forms.items():
        with replacing(path.with_suffix(suffix)) as draft:
            draft.write_text(text, encoding="utf-8")


MARKDOWN = str.maketrans({c: f"\\{c}" for c in "\\`*_[]<>|~"})


def to_markdown(display: Display) -> str:
    """As GitHub renders it, the caption above and the footnotes below."""

    def cell(c: Cell) -> str:
        return "<br>".join(c.lines(lambda t: t.translate(MARKDOWN), "**{}**", "<sup>{}</sup>"))

    body = tabulate(
        [[cell(c) for c in row] for row in display.rows],
        headers=[cell(c) for c in display.header],
        tablefmt="pipe",
        colalign=["left" if k < display.labels else "right" for k in range(len(display.header))],
        disable_numparse=True,
    )
    notes = [
        f"<sup>{mark}</sup> {text.translate(MARKDOWN)}" for text, mark in display.notes.items()
    ]
    parts = [display.caption.translate(MARKDOWN), body, *(["<br>\n".join(notes)] if notes else [])]
    return "\n\n".join(parts) + "\n"


LATEX = str.maketrans(
    {c: f"\\{c}" for c in "&%$#_{}"}
    | {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": "$<$",
        ">": "$>$",
        "|": "$|$",
        "[": "{[}",  # after `\\` a bare bracket would start an optional argument
        "*": "{*}",
        "×": r"$\times$",
        "−": "$-$",
        "±": r"$\pm$",
        "≈": r"$\approx$",
        "–": "--",
        "—": "---",
        "→": r"$\rightarrow$",
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
        "ε": r"$\varepsilon$",
    }
)


def to_latex(display: Display, label: str) -> str:
    """A float that spans both columns if the table is wide; the only package is booktabs."""
    wide = len(display.header) > 5
    alignment = ["l" if k < display.labels else "r" for k in range(len(display.header))]

    def cell(c: Cell, align: str) -> str:
        lines = c.lines(lambda t: t.translate(LATEX), r"\textbf{{{}}}", r"\textsuperscript{{{}}}")
        if len(lines) == 1:
            return lines[0]
        return (
            rf"\begin{{tabular}}[t]{{@{{}}{align}@{{}}}}" + r" \\ ".join(lines) + r"\end{tabular}"
        )

    def line(row: Row) -> str:
        return "  " + " & ".join(map(cell, row, alignment)) + r" \\"

    blocks = "\n\\midrule\n".join("\n".join(map(line, block)) for block in display.blocks)
    notes = [
        rf"\textsuperscript{{{mark}}} {text.translate(LATEX)}"
        for text, mark in display.notes.items()
    ]
    environment = "table*" if wide else "table"
    return "\n".join(
        [
            rf"\begin{{{environment}}}[t]",
            r"\centering\small",
            rf"\begin{{tabular}}{{{''.join(alignment)}}}",
            r"\toprule",
            line(display.header),
            r"\midrule",
            blocks,
            r"\bottomrule",
            r"\end{tabular}",
            *(
                [r"\par\smallskip", r"{\footnotesize " + r"\par ".join(notes) + r"\par}"]
                * bool(notes)
            ),
            rf"\caption{{{display.caption.translate(LATEX)}}}",
            rf"\label{{{label}}}",
            rf"\end{{{environment}}}",
            "",
        ]
    )


STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1a1a1a; margin: 2em; }
figure { margin: 0 auto; width: fit-content; max-width: 100%; }
figcaption, .notes { max-width: 48em; color: #444; font-size: 14px; }
table { border-collapse: collapse; margin: 1em 0; font-variant-numeric: tabular-nums; }
th, td { padding: .25em .9em; text-align: right; vertical-align: top; white-space: pre-line; }
td:not(.label) { white-space: pre; }
sup { line-height: 0; }
th.label, td.label { text-align: left; }
thead { border-top: 2px solid; border-bottom: 1px solid; }
tbody { border-bottom: 1px solid #bbb; }
tbody:last-of-type { border-bottom: 2px solid; }
"""


def to_html(display: Display, title: str) -> str:
    """A whole page, for the report."""

    def cells(row: Row, tag: str) -> str:
        parts = []
        for k, c in enumerate(row):
            text = "\n".join(c.lines(html.escape, "<strong>{}</strong>", "<sup>{}</sup>"))
            parts.append(f"<{tag}{' class=label' * (k < display.labels)}>{text}</{tag}>")
        return f"<tr>{''.join(parts)}</tr>"

    blocks = "\n".join(
        "<tbody>\n" + "\n".join(cells(row, "td") for row in block) + "\n</tbody>"
        for block in display.blocks
    )
    notes = "<br>\n".join(
        f"<sup>{mark}</sup> {html.escape(text)}" for text, mark in display.notes.items()
    )
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style></head>\n<body>\n<figure>\n"
        f"<figcaption>{html.escape(display.caption)}</figcaption>\n<table>\n"
        f"<thead>{cells(display.header, 'th')}</thead>\n{blocks}\n</table>\n"
        f'<div class="notes">{notes}</div>\n</figure>\n</body>\n</html>\n'
    )


def rst_escape(text: str) -> str:
    """Plain text in reStructuredText that also goes through Jinja, as Snakemake's reports do."""
    escaped = "".join(f"\\{c}" if c in "\\`*_|{" else c for c in text)
    for special in ("::", "{%", "{#"):
        escaped = escaped.replace(special, "\\".join(special))
    begins_a_list = re.match(r"[-+•] |\(?\w+[.)] ", text)
    return f"\\{escaped}" if begins_a_list else escaped


def to_rst(display: Display) -> str:
    """A list-table without the caption and without rules between blocks."""

    def cell(c: Cell) -> str:
        return " ".join(c.lines(rst_escape, "**{}**", " :sup:`{}`"))

    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in [display.header, *display.rows]:
        lines += [f"   {'* ' if k == 0 else '  '}- {cell(c)}".rstrip() for k, c in enumerate(row)]
    notes = [f"| :sup:`{mark}` {rst_escape(text)}" for text, mark in display.notes.items()]
    return "\n".join([*lines, "", *notes, ""])
