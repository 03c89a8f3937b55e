"""The figures: each from arrays or frames to a matplotlib figure; `drawing` says how they look."""

from cascadebert.reporting.figures.confidence import figure_confidence, figure_reliability
from cascadebert.reporting.figures.layers import figure2_layers, figure3_dis
from cascadebert.reporting.figures.representations import Panel, figure4_representations
from cascadebert.reporting.figures.tradeoff import figure_tradeoff

__all__ = [
    "Panel",
    "figure2_layers",
    "figure3_dis",
    "figure4_representations",
    "figure_confidence",
    "figure_reliability",
    "figure_tradeoff",
]
