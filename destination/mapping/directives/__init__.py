"""Every directive: the table of contents."""

from __future__ import annotations

from destination.mapping.directive import Directives
from destination.mapping.directives.array_path import ARRAY_PATH
from destination.mapping.directives.case import CASE
from destination.mapping.directives.exclude_when_null import EXCLUDE_WHEN_NULL
from destination.mapping.directives.flatten import FLATTEN
from destination.mapping.directives.if_ import IF
from destination.mapping.directives.json_ import JSON
from destination.mapping.directives.liquid import LIQUID
from destination.mapping.directives.literal import LITERAL
from destination.mapping.directives.merge import MERGE
from destination.mapping.directives.path import PATH
from destination.mapping.directives.replace import REPLACE
from destination.mapping.directives.template import TEMPLATE
from destination.mapping.directives.transform import TRANSFORM

DIRECTIVES: Directives = {
    directive.name: directive
    for directive in (
        PATH,
        TEMPLATE,
        LITERAL,
        IF,
        CASE,
        REPLACE,
        ARRAY_PATH,
        FLATTEN,
        MERGE,
        JSON,
        TRANSFORM,
        EXCLUDE_WHEN_NULL,
        LIQUID,
    )
}
