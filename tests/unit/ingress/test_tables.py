"""Files of rows: dialects, encodings, headers, and lines that cannot be read."""

from __future__ import annotations

import csv
import io
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destination.errors import Rejected
from destination.ingress.tables import MAX_LINE, REJECTED, Line, neutral, read_table


def lines(text: str | bytes, size: int = 7, **how: Any) -> list[Line]:
    """The lines of a file that comes in small chunks."""
    raw = text.encode() if isinstance(text, str) else text
    chunks = [raw[at : at + size] for at in range(0, len(raw), size)]
    return list(read_table(chunks, **how).lines)


def rows(text: str | bytes, **how: Any) -> list[dict[str, str]]:
    """The rows of a file in which every line can be read."""
    found = lines(text, **how)
    assert [each.problem for each in found] == [None] * len(found)
    return [each.row for each in found]


ANN, BEN = {"email": "ann@acme.io", "name": "Ann"}, {"email": "ben@acme.io", "name": "Ben"}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_usual_dialects_are_recognised(delimiter: str, end: str) -> None:
    """By the delimiter that gives all lines equally many cells; a last line needs no end."""
    text = end.join(("email,name", "ann@acme.io,Ann", "ben@acme.io,Ben")).replace(",", delimiter)
    assert rows(text) == rows(text + end) == [ANN, BEN]


def test_a_mark_of_byte_order_and_excels_first_line_are_no_data() -> None:
    """Excel writes both."""
    text = "sep=;\r\nemail;name\r\nann@acme.io;Ann\r\n"
    assert rows(b"\xef\xbb\xbf" + text.encode()) == [ANN]
    assert [each.number for each in lines(text)] == [3]


def test_quotes_hold_delimiters_quotes_and_line_ends() -> None:
    """The lines of later rows are counted as an editor counts them."""
    found = lines('email,note\n"a@b.io","one, ""two""\nthree"\nc@d.io,x\n\ne@f.io,y\n')
    assert [(each.number, each.row["note"]) for each in found] == [
        (2, 'one, "two"\nthree'),
        (4, "x"),
        (6, "y"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("\n \n", "empty"),
        ("email,email\na,b\n", "columns 1 and 2 of line 1 are both called 'email'"),
        ("email,,name\na,b,c\n", "column 2 of line 1 has no name"),
        ("ann@acme.io,Ann\nben@acme.io,Ben\n", "looks like a row"),
        ("17,18\n19,20\n", "looks like a row"),
        ('[{"a":1}]', "one JSON object a line"),
        ("PK\x03\x04...", "Excel workbook"),
        ("a\x00b\n", "zero bytes"),
        ('"email\nann', "not closed"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_what_to_do(text: str, words: str) -> None:
    """Before the first row."""
    with pytest.raises(Rejected) as refused:
        lines(text)
    assert (refused.value.status, refused.value.code) == (400, "bad_file")
    assert words in refused.value.message


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff", b"\x1f\x8b"])
def test_other_kinds_of_file_are_known_by_their_first_bytes(mark: bytes) -> None:
    """UTF-16 and gzip."""
    with pytest.raises(Rejected, match=r"UTF-16|gzip"):
        lines(mark + b"abc")


def test_names_can_be_given_for_a_file_without_them() -> None:
    """Then the first line is a row."""
    found = read_table([b"ann@acme.io,Ann\n"], columns=["email", "name"])
    assert [each.row for each in found.lines] == [ANN]


def test_columns_without_name_at_the_end_may_be_empty() -> None:
    """Spreadsheets leave delimiters behind."""
    assert rows("email,name,,\nann@acme.io,Ann,,\n") == [ANN]


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ("one,two,three", "wrong_number_of_cells"),
        ("one", "wrong_number_of_cells"),
        ('"one"two,three', "bad_csv"),
        (f"one,{'x' * 140_000}", "bad_csv"),
        (f"one,{'x' * (MAX_LINE + 10)}", "row_too_long"),
    ],
)
def test_a_bad_line_costs_no_other(bad: str, code: str) -> None:
    """It is told with its place."""
    found = lines(f"email,name\nann@acme.io,Ann\n{bad}\nben@acme.io,Ben\n", size=4096)
    assert [each.row for each in found if not each.problem] == [ANN, BEN]
    (problem,) = [each for each in found if each.problem]
    assert problem.number == 3
    assert problem.problem is not None
    assert problem.problem.code == code


def test_an_open_quotation_mark_is_told_with_the_lines_it_swallowed() -> None:
    """The rows behind it are found again."""
    filler = "".join(f"p{i}@acme.io,{'x' * 50}\n" for i in range(4000))
    found = lines(f'email,name\n"ann@acme.io,Ann\n{filler}', size=4096)
    assert found[0].problem is not None
    assert "lines 2 to" in found[0].problem.message
    assert found[-1].row["email"] == "p3999@acme.io"
    assert [each.problem for each in found[1:]] == [None] * (len(found) - 1)


def test_a_row_of_many_lines_has_a_bound_too() -> None:
    """Or an endless row of short cells would fill the memory."""
    cells = ",".join(f'"{"x" * 900}\n"' for _ in range(1400))
    found = lines(f"email,name\n{cells}\nann@acme.io,Ann\n", size=4096)
    assert found[0].problem is not None
    assert (found[0].number, found[0].problem.code) == (2, "row_too_long")


def test_bytes_that_are_not_utf_8_are_told_with_the_remedy() -> None:
    """The line is not sent with wrong letters."""
    found = lines(b"email,name\na@b.io,J\xfcrgen\nann@acme.io,Ann\n")
    assert found[0].problem is not None
    assert found[0].problem.code == "bad_encoding"
    assert "byte 9 of line 2 (0xfc)" in found[0].problem.message
    assert "latin-1" in found[0].problem.message
    assert found[1].row == ANN


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_other_encodings_can_be_named(encoding: str) -> None:
    """Those that old programs write."""
    assert rows(b"email,name\na@b.io,J\xfcrgen\n", encoding=encoding)[0]["name"] == "Jürgen"
    with pytest.raises(Rejected, match="utf-9"):
        lines("a,b\n", encoding="utf-9")


def test_json_lines_are_rows_and_their_problems_their_own() -> None:
    """Blank lines are none."""
    found = lines('{"email":"a@b.io","n":1}\n\n[1]\n{"email":\n{"email":"c@d.io"}')
    assert [each.number for each in found] == [1, 3, 4, 5]
    assert [each.row for each in found if not each.problem] == [
        {"email": "a@b.io", "n": 1},
        {"email": "c@d.io"},
    ]
    assert [each.problem.code for each in found if each.problem] == ["row_not_object", "bad_json"]
    assert found[2].cells == ('{"email":',)


@given(
    st.lists(
        st.lists(
            st.text(st.characters(codec="utf-8", exclude_characters="\x00\r"), max_size=12),
            min_size=3,
            max_size=3,
        ),
        max_size=6,
    ),
    st.integers(1, 40),
)
def test_what_is_written_as_csv_is_read_as_it_was(cells: list[list[str]], size: int) -> None:
    """However the bytes are cut. Rows of empty cells are none."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["a", "b", "c"])
    writer.writerows(cells)
    found = lines(out.getvalue(), size)
    assert [tuple(each.row.values()) for each in found] == [tuple(row) for row in cells if any(row)]


@given(st.binary(max_size=300), st.sampled_from(["utf-8", "latin-1"]))
def test_no_bytes_break_the_reader(raw: bytes, encoding: str) -> None:
    """They are rows, problems of lines, or a refused file."""
    try:
        found = lines(b"a,b\n" + raw, encoding=encoding)
    except Rejected:
        return
    assert all(bool(each.row) != bool(each.problem) for each in found)


@pytest.mark.parametrize("cell", ["=1+1", "+1 555", "-5", "@x", "\tx", "plain", "'quoted", "'=x"])
def test_neutral_cells_are_no_formulas_and_can_be_read_back(cell: str) -> None:
    """In a file of rejected rows, whose last three columns are left out as well."""
    assert not neutral(cell).startswith(("=", "+", "-", "@", "\t", "\r"))
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["email", "note", *REJECTED])
    writer.writerow(["a@b.io", neutral(cell), "7", "bad", neutral("-message")])
    assert rows(out.getvalue()) == [{"email": "a@b.io", "note": cell}]


def test_memory_does_not_grow_with_the_file() -> None:
    """Six megabytes of rows in less than half of that, in one line or in many."""

    def chunks(piece: bytes) -> Iterator[bytes]:
        yield b"email,name\n"
        for _ in range(100):
            yield piece * (65_536 // len(piece))

    tracemalloc.start()
    try:
        for piece in (b"ann@acme.io," + b"x" * 1000 + b"\n", b"x"):
            for _ in read_table(chunks(piece)).lines:
                pass
        assert tracemalloc.get_traced_memory()[1] < 3_500_000
    finally:
        tracemalloc.stop()
