"""The figures, from arrays or frames to a matplotlib figure. `drawing` has their look.

Functions have the names of their rules and files.
"""

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
