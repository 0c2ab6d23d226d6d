"""A traffic sample: the conversations of a CSV file, and the errors of invalid files."""

from __future__ import annotations

import os
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.errors import ManifestError, UsageError
from reconciler.core.manifest.kinds.environment import BotAttributes
from reconciler.core.manifest.load import load_manifests
from reconciler.core.traffic.sample import (
    TrafficSample,
    declared_traffic,
    load_traffic,
    read_traffic,
)
from reconciler.render.colour import no_style
from reconciler.render.text.findings import findings_text
from tests.support.cases import each_case
from tests.support.written_manifests import ENVIRONMENT, line
from tests.support.wrong_samples import WRONG
from tests.tiers import size

INTENT = "cognigyDetectedIntent"
CONFIDENCE = "cognigyConfidence"
TRAFFIC = ENVIRONMENT + "traffic: {file: traffic/prod.csv, period: October 2026}\n"


def read(text: str | bytes) -> TrafficSample:
    data = text if isinstance(text, bytes) else text.encode()
    return read_traffic(data, "t.csv", BotAttributes(), "October 2026")


def rows(text: str | bytes) -> list[tuple[dict[str, Any], int | float]]:
    return [(dict(row.attributes), row.count) for row in read(text).rows]


def said(text: str | bytes) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        read(text)
    return findings_text(caught.value.findings, no_style).splitlines()


def declared(room: Path, document: str = TRAFFIC) -> TrafficSample | None:
    (room / "environment.yaml").write_text(document)
    return declared_traffic(load_manifests(room).environments["prod"], room)


def test_a_sample_has_its_rows_and_their_source() -> None:
    """A sample has its file, digest and period, adds equal rows up, and keeps the line of the
    first.
    """
    text = b"intent,confidence,count\nlost_card,0.9,5\npin,0.30,2\nlost_card,0.9,1\n"
    sample = read(text)
    assert ("t.csv", sha256(text).hexdigest(), "October 2026", 8) == (
        sample.name,
        sample.digest,
        sample.period,
        sample.total,
    )
    assert [
        ({INTENT: "lost_card", CONFIDENCE: 0.9}, 6, 2),
        ({INTENT: "pin", CONFIDENCE: 0.3}, 2, 3),
    ] == [(row.attributes, row.count, row.line) for row in sample.rows]
    assert () == sample.warnings


def test_the_columns_intent_and_confidence_are_the_environments_attributes() -> None:
    """`intent` and `confidence` become the Environment's names; other columns keep their names."""
    sample = read_traffic(
        b"tier,confidence,intent,count\ngold,1,a,1\n",
        "t.csv",
        BotAttributes(intent="i", confidence="c"),
    )
    assert {"tier": "gold", "c": 1, "i": "a"} == sample.rows[0].attributes
    assert {INTENT: "a", CONFIDENCE: 1} == rows(
        f"{INTENT},{CONFIDENCE},count\na,1,1\n"
    )[0][0]


@each_case(
    "cell, meant",
    [
        ("", None),
        ("gold", "gold"),
        ("7", 7),
        ("-0.5", -0.5),
        ("1e3", 1000.0),
        ("007", "007"),
        ("+7", "+7"),
        (".5", ".5"),
        ("7 %", "7 %"),
        ("NaN", "NaN"),
        ("true", "true"),
        ("null", "null"),
        ('"""7"""', "7"),
        ('"""true"""', "true"),
        ('""""""', ""),
        (r'""" \u00e4 """', " ä "),
        ('"a,b"', "a,b"),
        ('"a\nb"', "a\nb"),
        ('a "b"', 'a "b"'),
    ],
)
def test_a_cell_has_the_type_of_a_value_in_a_manifest(
    cell: str, meant: str | float | None
) -> None:
    """JSON numbers are numbers, JSON texts are texts, an empty cell is a missing attribute; other
    cells are text.
    """
    actual = rows(f"amount,count\n{cell},1\n")[0][0]["amount"]
    assert (meant, type(meant)) == (actual, type(actual))


def test_an_intent_is_text_and_never_a_number() -> None:
    """The bot writes an intent as text, so the intent 404 is text."""
    assert {INTENT: "404"} == rows("intent,count\n404,1\n")[0][0]


def test_a_text_and_a_number_are_two_rows() -> None:
    """Rows are equal if their values are equal in type and value: 1 equals 1.0, but not the
    text 1.
    """
    assert [({"x": 1}, 3), ({"x": "1"}, 4)] == rows('x,count\n1,1\n1.0,2\n"""1""",4\n')


def test_missing_and_unknown_attributes_differ() -> None:
    """An empty cell is a missing attribute; without a column, the sample does not know the
    attribute.
    """
    assert [({INTENT: "a", "tier": None}, 1)] == rows("intent,tier,count\na,,1\n")


def test_files_of_excel_are_read() -> None:
    """A byte order mark, line ends of Windows, semicolons, quoted headers and rows of
    separators.
    """
    text = '\ufeff"intent";"tier";"count"\r\na,b;gold;5\r\n;;\r\n\r\nc;"x;y";2\r\n'
    assert [
        ({INTENT: "a,b", "tier": "gold"}, 5),
        ({INTENT: "c", "tier": "x;y"}, 2),
    ] == rows(text)


@pytest.mark.parametrize(
    ("cell", "count"), [("5", 5), ("5.0", 5), ("1e3", 1000), ("0.25", 0.25)]
)
def test_a_count_is_a_number(cell: str, count: float) -> None:
    """A count may be a fraction, such as an average; an integer is an int."""
    actual = rows(f"intent,count\na,{cell}\n")[0][1]
    assert (count, type(count)) == (actual, type(actual))


def test_rows_with_the_count_0_are_skipped() -> None:
    """They contain no conversations."""
    assert [({INTENT: "b"}, 1)] == rows("intent,count\na,0\nb,1\n")


COMMENTS = "# source: a, b\n# period: 2026-10-01 to 2026-10-31\n"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_comments_before_the_header_are_read_and_skipped(mark: str, end: str) -> None:
    """The period is that of the file, unless the Environment has words for it; lines of messages
    stay right.
    """
    text = (mark + COMMENTS + "\nintent,count\na,5\n").replace("\n", end).encode()
    sample = read_traffic(text, "t.csv", BotAttributes())
    assert ("2026-10-01 to 2026-10-31", date(2026, 10, 31), 5) == (
        sample.period,
        sample.last_day,
        sample.rows[0].line,
    )
    assert "October 2026" == read(text).period
    assert [
        't.csv:6:3: error[CXR233]: "count" must be a number, 0 or more, not "x"'
    ] == said(f"{COMMENTS}\nintent,count\na,5\nb,x\n".replace("\n", end))[:1]


@each_case(
    "period",
    [
        "",
        "2026-10-01",
        "2026-02-30 to 2026-03-01",
        "2026-11-01 to 2026-10-01",
        "2026-1-1 to 2026-2-2",
        "1 to 2",
        "٢٠٢٦-10-01 to 2026-10-31",
    ],
)
def test_another_period_is_unknown(period: str) -> None:
    """A person may have written it; the sample is valid."""
    sample = read_traffic(
        f"# period: {period}\nintent,count\na,5\n".encode(), "t.csv", BotAttributes()
    )
    assert ("", None) == (sample.period, sample.last_day)


@pytest.mark.parametrize(
    "header",
    [
        "# of tries,count",
        '# of tries;"count"',
        "# of tries,count,intent",
        "#tries,count",
    ],
)
def test_a_header_is_not_a_comment(header: str) -> None:
    """Files of earlier versions stay valid, whatever their first attribute's name is."""
    cells = header.replace(";", ",").replace('"', "").split(",")
    values = ",".join("5" for _ in cells)
    ((attributes, count),) = rows(
        f"{header}\n{values.replace(',', ';') if ';' in header else values}\n"
    )
    assert (cells[0], 5) == (next(iter(attributes)), count)


def test_comments_after_the_header_are_rows() -> None:
    """Only what precedes the header is a comment."""
    assert [({INTENT: "# a"}, 5)] == rows("intent,count\n# a,5\n")
    assert [
        (
            "t.csv:1:1: error[CXR230]: the traffic sample is empty; write the names of the columns in "
            "the first row"
        )
    ] == (said("# only a comment")[:1])


@each_case("name", WRONG)
def test_an_invalid_file_reports_all_errors(name: str) -> None:
    """Each error has its position, the problem and what to do; all errors of all rows are
    reported.
    """
    text, expected = WRONG[name]
    assert [f"t.csv:{line}" for line in expected.splitlines()] == said(text)


@each_case(
    "cell",
    [
        "",
        "-1",
        "NaN",
        "Infinity",
        "1_000",
        '"1,000"',
        " 1",
        "1e400",
        "1" * 500,
        "1e13",
        "x",
    ],
)
def test_a_count_is_never_guessed(cell: str) -> None:
    """A count that is not a valid number is an error at its cell."""
    (output,) = said(f"intent,count\na,{cell}\n")
    assert output.startswith(
        't.csv:2:3: error[CXR233]: "count" must be a number, 0 or more, not "'
    )


def test_a_point_between_thousands_is_not_a_decimal_point() -> None:
    """Between semicolons, 1.234 is probably 1234: it is refused, because the shares would be
    silently wrong.
    """
    expected = 't.csv:2:3: error[CXR233]: "count" must be a number without points between thousands, not "1.234"'
    assert [expected] == said("intent;count\na;1.234\n")
    assert [({INTENT: "a"}, 1.234)] == rows("intent,count\na,1.234\n")


@each_case("cell", ["0,85", "85", "-0.1", "high", '"""0.5"""', "NaN"])
def test_a_confidence_is_a_number_from_0_to_1(cell: str) -> None:
    """A decimal comma, a percentage or a word would be a value that rules do not use."""
    (output,) = said(f"intent;confidence;count\na;{cell};1\n")
    assert output.startswith(
        't.csv:2:3: error[CXR233]: "confidence" must be empty or a number from 0 to 1, such as 0.85, not "'
    )


@each_case("cell", [" gold", "gold ", "1e999", '"""a"', '"""a""b"""', r'"""\ud800"""'])
def test_a_cell_that_is_probably_a_mistake_is_refused(cell: str) -> None:
    """Spaces around a text are an error, because they are invisible; JSON's quotes keep them."""
    (output,) = said(f"intent,tier,count\na,{cell},1\n")
    assert output.startswith('t.csv:2:3: error[CXR233]: "tier" ')


def test_a_column_similar_to_the_intent_is_a_warning() -> None:
    """`Intent` may be an attribute, so it is read as one."""
    expected = (
        't.csv:1:1: warning[CXR232]: column "Intent" is read as an attribute of that name;'
        ' did you mean "intent"?'
    )
    assert [expected] == [
        line(finding) for finding in read("Intent,count\na,1\n").warnings
    ]
    assert () == read("Intent,intent,count\na,b,1\n").warnings


def test_a_sample_reports_at_most_a_thousand_errors() -> None:
    """The last finding says that there may be more."""
    output = said("intent,count\n" + "a,x\n" * 50_000)
    assert 1001 == len(output)
    assert output[-1].endswith("more errors in this file")


FRAGMENTS = st.sampled_from(
    [
        "intent",
        "confidence",
        "count",
        ",",
        ";",
        "\n",
        "\r\n",
        "\r",
        '"',
        '""',
        '"""',
        "0.5",
        "1",
        "-1",
        "1e999",
        " ",
    ]
)


@pytest.mark.generated
@settings(max_examples=size(fast=60, slow=150, full=300), deadline=None)
@given(
    st.one_of(
        st.binary(max_size=60),
        st.lists(FRAGMENTS, max_size=30).map(lambda parts: "".join(parts).encode()),
    )
)
def test_any_bytes_are_a_sample_or_a_manifest_error(data: bytes) -> None:
    """The rows of a sample add up to its total."""
    for bytes_ in (data, b"intent,count\n" + data, b'"x";count\r\n' + data):
        try:
            sample = read(bytes_)
        except ManifestError as error:
            assert all(  # noqa: PT017 - or it reads
                finding.source and finding.code.startswith("CXR")
                for finding in error.findings
            )
        else:
            assert 0 < sample.total == sum(row.count for row in sample.rows)


def test_the_file_of_the_option_is_read(room: Path) -> None:
    """--traffic may name any file; the sample's name is the path as given."""
    (room / "t.csv").write_text("intent,count\na,1\n")
    assert "manifests/t.csv" == load_traffic("manifests/t.csv", BotAttributes()).name


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("none.csv", "no such file or directory"),
        ("manifests", "is a directory"),
        ("a\0b", "the path contains a nul character; check the path"),
    ],
)
def test_an_unreadable_file_of_the_option_is_a_usage_error(
    room: Path, path: str, problem: str
) -> None:
    """The command line named it, so the exit code is that of usage errors."""
    assert room.exists()
    with pytest.raises(UsageError, match=problem) as caught:
        load_traffic(path, BotAttributes())
    assert 64 == caught.value.exit_code


def test_an_environment_file_is_in_the_working_directory_or_manifests(
    room: Path,
) -> None:
    """A declared path is searched in the working directory, then in the manifests' directory."""
    for place in (room / "traffic", Path("traffic")):
        place.mkdir()
        (place / "prod.csv").write_text("intent,count\na,1\n")
        sample = declared(room)
        assert sample is not None
        assert (f"{place.as_posix()}/prod.csv", "October 2026") == (
            sample.name,
            sample.period,
        )
    assert None is declared(room, ENVIRONMENT)


def refused(room: Path) -> str:
    with pytest.raises(ManifestError) as caught:
        declared(room)
    (finding,) = caught.value.findings
    return line(finding)


def test_a_missing_declared_file_is_an_error_in_the_manifest(room: Path) -> None:
    """The finding is at the field that names the file; a directory or a pipe is not a file."""
    expected = (
        'manifests/environment.yaml:6:17: error[CXR014]: traffic sample "traffic/prod.csv":'
        " not found in the working directory or in the manifests' directory"
    )
    assert expected == refused(room)
    Path("traffic").mkdir()
    os.mkfifo("traffic/prod.csv")
    assert expected == refused(room)


def test_a_declared_file_cannot_be_outside_the_directory(
    room: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Pull requests are untrusted: a link to the outside is refused, and its target is not
    shown.
    """
    secret = tmp_path_factory.mktemp("elsewhere") / "secret"
    secret.write_text("password\n")
    Path("traffic").mkdir()
    Path("traffic/prod.csv").symlink_to(secret)
    expected = (
        'manifests/environment.yaml:6:17: error[CXR003]: traffic sample "traffic/prod.csv":'
        " the symbolic link leads"
    )
    assert refused(room).startswith(expected)
