"""Mappings: which events an action wants, and what it gets of them.

::

    resolve = compile_mapping({"email": {"@path": "$.traits.email"}})
    resolve({"traits": {"email": "ada@example.com"}})  # {"email": "ada@example.com"}
"""

from __future__ import annotations

from destination.mapping.engine import certain_failures, check_mapping, compile_mapping
from destination.mapping.missing import MISSING, Missing
from destination.mapping.problem import Problem

__all__ = [
    "MISSING",
    "Missing",
    "Problem",
    "certain_failures",
    "check_mapping",
    "compile_mapping",
]
