"""Looking inside: the recorded program as text and picture, its numbers, and its cost."""

from funcgrad.inspection.costs import Measured
from funcgrad.inspection.explanation import Explanation, explain
from funcgrad.inspection.graph import draw_graph
from funcgrad.inspection.profiling import profile
from funcgrad.inspection.program import Program, make_tape

__all__ = [
    "Explanation",
    "Measured",
    "Program",
    "draw_graph",
    "explain",
    "make_tape",
    "profile",
]
