"""A check as JUnit XML, which every CI system shows as tests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from destination.cli.checked import Checked, failure_lines

# What XML 1.0 cannot hold, not even escaped (section 2.2, Char).
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_junit(checked: Sequence[Checked]) -> str:
    """A suite for each file: a case for each example, and one for whether the file can be used."""
    root = ET.Element("testsuites", name="destination check")
    for each in checked:
        root.append(_suite(each))
    for name in ("tests", "failures", "errors"):
        root.set(name, str(sum(int(suite.get(name, 0)) for suite in root)))
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written.decode() + "\n"


def _suite(checked: Checked) -> ET.Element:
    suite = ET.Element(
        "testsuite",
        name=_clean(str(checked.file)),
        tests=str(len(checked.ran) + 1),
        failures=str(len(checked.failed)),
        errors=str(int(bool(checked.errors))),
        skipped="0",
        time="0",
    )
    usable = _case(suite, str(checked.file), "can be used")
    if checked.errors:
        error = ET.SubElement(usable, "error", type="mapping")
        error.set("message", _clean(str(checked.errors[0])))
        error.text = _clean("\n".join(map(str, checked.errors)))
    for ran in checked.ran:
        case = _case(suite, ran.mapping, ran.example)
        if ran.failures:
            lines = failure_lines(ran)
            failure = ET.SubElement(case, "failure", type=ran.failures[0].what)
            failure.set("message", _clean(lines[0]))
            failure.text = _clean("\n".join(lines))
    warnings = [str(problem) for problem in checked.problems if problem.severity == "warning"]
    if warnings:
        ET.SubElement(suite, "system-err").text = _clean("\n".join(warnings))
    return suite


def _case(suite: ET.Element, group: str, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=_clean(group), name=_clean(name), time="0")


def _clean(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
