"""What would happen to an event: the pure functions behind ``try``, ``check`` and the console."""

from __future__ import annotations

from destination.preview.comparison import Change, Side, compare
from destination.preview.examples import Failure, Ran, run_examples
from destination.preview.explanation import (
    Asked,
    Explanation,
    Given,
    Reading,
    Turned,
    explain,
    explanation_json,
)
from destination.preview.golden import Update, update_file
from destination.preview.overlap import Overlap, overlaps
from destination.preview.preview import Preview, preview, preview_json, request_json

__all__ = [
    "Asked",
    "Change",
    "Explanation",
    "Failure",
    "Given",
    "Overlap",
    "Preview",
    "Ran",
    "Reading",
    "Side",
    "Turned",
    "Update",
    "compare",
    "explain",
    "explanation_json",
    "overlaps",
    "preview",
    "preview_json",
    "request_json",
    "run_examples",
    "update_file",
]
