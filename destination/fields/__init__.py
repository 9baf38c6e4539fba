"""The fields of an action: what a payload may hold, and the check of one."""

from destination.fields.check import compile_fields
from destination.fields.field import Field
from destination.fields.problem import FieldProblem, PayloadError

__all__ = ["Field", "FieldProblem", "PayloadError", "compile_fields"]
