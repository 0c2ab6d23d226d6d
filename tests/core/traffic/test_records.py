"""Recorded conversations as a stream: the cells and errors of a traffic sample, JSON lines, and
constant memory.
"""

from __future__ import annotations

import io
import sys
import tracemalloc
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from reconciler.core.behaviour.endpoint_stage import DIRECT
from reconciler.core.errors import ManifestError, UsageError
from reconciler.core.manifest.kinds.environment import BotAttributes
from reconciler.core.model.finding import Finding
from reconciler.core.plan.replay import ReplayResult, ReplaySide, replay
from reconciler.core.traffic.records import RecordReader
from reconciler.core.traffic.sample import read_traffic
from tests.support.cases import each_case
from tests.support.random_rules import attribute, entries, rule
from tests.support.written_manifests import line
from tests.support.wrong_samples import WRONG
from tests.tiers import FULL, size

INTENT: Final = "cognigyDetectedIntent"
RULES: Final = entries(
    [rule("k", 1, [attribute(INTENT, "equals", "a"), attribute("tier", "exists")], "q")]
)
MIB: Final = 1024 * 1024


def as_line(finding: Finding) -> str:
    """Return a finding as a command prints it, with its hint."""
    return f"{line(finding)}; {finding.hint}" if finding.hint else line(finding)


def count(path: str) -> ReplayResult:
    """Replay a file through one rule on the intent and the tier, and no rule."""
    return replay(
        RecordReader.open(path, BotAttributes()),
        ReplaySide(RULES, DIRECT),
        ReplaySide((), DIRECT),
    )


def said(content: bytes | str, name: str = "t.csv") -> list[str]:
    """Return the errors of a file as lines."""
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ManifestError) as caught:
        count(name)
    return [as_line(finding) for finding in caught.value.findings]


def values(path: str) -> list[tuple[int, dict[str, Any], Any]]:
    """Return the line, the values and the count of each row."""
    reader = RecordReader.open(path, BotAttributes())
    rows = list[tuple[int, dict[str, Any], Any]]()
    for row, number in reader.valid_rows(frozenset({INTENT, "tier"})):
        names = (name for name in reader.names if name != "count")
        rows.append((reader.line, dict(zip(names, row, strict=True)), number))
    return rows


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


OTHER_LIMITS: Final = {"empty", "separators", "large", "rows", "near"}
HINT: Final = (
    "; write a row for each conversation, or their number in the column `count`"
)


@each_case("name", [name for name in WRONG if name not in OTHER_LIMITS])
def test_the_first_wrong_row_is_reported_as_in_a_sample(name: str) -> None:
    """With the words and the position of the sample's error, whatever line it is in."""
    content, expected = WRONG[name]
    actual = said(content)
    assert actual == [f"t.csv:{each}" for each in expected.splitlines()][: len(actual)]


def test_a_file_without_conversations_is_an_error() -> None:
    """Empty, a header alone, or counts of 0."""
    for content in (
        "",
        "\n\n",
        "intent\n",
        "intent,count\na,0\n",
        "# only a comment\n",
        "{}\n"[:0],
    ):
        (output,) = said(content)
        assert (
            output
            == f"t.csv:1:1: error[CXR234]: the file contains no conversations{HINT}"
        )


def test_lines_before_the_header_may_be_comments() -> None:
    """Blank lines and comments, also before JSON; positions count them."""
    Path("t.csv").write_text(
        '\ufeff\n# made by hand\nintent;tier\n\n"a\nb";x\na;\n', encoding="utf-8"
    )
    assert [
        (5, {"intent": "a\nb", "tier": "x"}, 1),
        (7, {"intent": "a", "tier": None}, 1),
    ] == values("t.csv")
    Path("t.csv").write_text(
        '# source\n{"intent": "a"}\n\n{"tier": 1, "count": 3}\n', encoding="utf-8"
    )
    assert [(2, "a", 1), (4, None, 3)] == [
        (at, row["intent"], number) for at, row, number in values("t.csv")
    ]


@pytest.mark.generated
def test_mutated_files_are_read_or_refused_as_samples_are() -> None:
    """Same conversations, or the same first error; the files are made of the characters that
    matter.
    """
    refused = 0
    files = size(fast=120, slow=2000)
    for seed in range(files):
        random = Random(f"records {seed}")
        pieces = [
            "a",
            "b",
            '"',
            '""',
            ",",
            ",",
            ";",
            "\n",
            "\n",
            "\r\n",
            "0.5",
            "1",
            "7",
            "é",
            " ",
            "\x00",
            '"""x"""',
        ]
        text = "".join(random.choices(pieces, k=random.randint(1, 12)))
        content = f"intent,tier,count\na,b,1\n{text}\n".encode()
        Path("t.csv").write_bytes(content)
        try:
            sample = read_traffic(content, "t.csv", BotAttributes())
        except ManifestError as error:
            first = line(error.findings[0])
            refused += 1
            with pytest.raises(ManifestError) as caught:
                count("t.csv")
            assert first == line(caught.value.findings[0]), text
        else:
            assert sample.total == count("t.csv").total, text
    assert files / 4 < refused < files * 0.98


NAMED: Final = '{"intent": "a", "confidence": %s, "tier": %s}'


@each_case(
    "text, expected",
    [
        (NAMED % ("0.5", '"gold"'), (0.5, "gold")),
        (NAMED % ("null", "1.0"), (None, 1.0)),
        (NAMED % ("1", "true"), (1, "true")),
        (NAMED % ("1e-1", '"007"'), (0.1, "007")),
        (NAMED % ("0", '" \\u0000\\n"'), (0, " \x00\n")),
        (NAMED % ("0", '""'), (0, "")),
    ],
)
def test_json_values_are_those_of_conversations(
    text: str, expected: tuple[Any, Any]
) -> None:
    """A text stays a text, and null is a missing attribute; other names are passed over, whatever
    their values.
    """
    Path("t.jsonl").write_text(
        f'{text}\n{text[:-1]}, "extra": {{"a": [1, {{}}]}}}}\n', encoding="utf-8"
    )
    for _, row, number in values("t.jsonl"):
        assert ("a", *expected, 1) == (
            row["intent"],
            row["confidence"],
            row["tier"],
            number,
        )
        assert type(expected[1]) is type(row["tier"])


_SHAPE: Final = (
    "error[CXR231]: this line is not a JSON object that has each name once, and texts, numbers, "
    "true, false or null"
    '; write one object in each line, such as {"intent": "card_help", "confidence": 0.9}'
)
WRONG_LINES: Final = {
    "not closed": ('{"intent": "a"', f"2:1: {_SHAPE}"),
    "a list": ("[1]", f"2:1: {_SHAPE}"),
    "a text": ('"a"', f"2:1: {_SHAPE}"),
    "nested": ('{"tier": {"a": 1}}', f"2:1: {_SHAPE}"),
    "a list inside": ('{"tier": []}', f"2:1: {_SHAPE}"),
    "twice": ('{"intent": "a", "intent": "b"}', f"2:1: {_SHAPE}"),
    "two names of one": (
        '{"intent": "a", "cognigyDetectedIntent": "b"}',
        f"2:1: {_SHAPE}",
    ),
    "deep": ('{"a":' * 100_000, f"2:1: {_SHAPE}"),
    "not a number": ('{"confidence": NaN}', f"2:1: {_SHAPE}"),
    "a confidence": (
        '{"intent": "a", "confidence" : 85}',
        '2:17: error[CXR233]: "confidence" must be empty or a number from 0 to 1, such as 0.85, not "85"',
    ),
    "its own name": (
        '{"cognigyConfidence": "0.5"}',
        '2:2: error[CXR233]: "confidence" must be empty or a number from 0 to 1, such as 0.85, not "\\"0.5\\""',
    ),
    "a count": (
        '{"count": -1}',
        '2:2: error[CXR233]: "count" must be a number, 0 or more, not "-1"',
    ),
    "long": (
        '{"intent": "' + "a" * MIB + '"}',
        "2:1: error[CXR231]: this row is longer than 1 MiB; is a quote missing?",
    ),
    "long, cut inside a character": (
        '{"intent": "' + "é" * MIB + '"}',
        "2:1: error[CXR231]: this row is longer than 1 MiB; is a quote missing?",
    ),
}


@each_case("name", WRONG_LINES)
def test_a_wrong_line_of_json_is_refused_at_its_name(name: str) -> None:
    """With the line, the column of the name, and what to do."""
    text, expected = WRONG_LINES[name]
    assert [f"t.jsonl:{expected}"] == said(
        f'{{"intent": "a"}}\n{text}\n{{"count": -1}}\n', "t.jsonl"
    )


@pytest.mark.parametrize(
    ("name", "moved"), [("intent", 0), (" x", 1), ("", 1), ("a98", 1)]
)
def test_rules_on_any_attribute_are_replayed_from_json(name: str, moved: int) -> None:
    """`intent` is the bot's intent in a file, so an attribute of that name is not recorded."""
    tests = [
        rule(f"k{at}", 2, [attribute(f"a{at}", "equals", "b")], "r") for at in range(99)
    ]
    rules = entries([rule("k", 1, [attribute(name, "equals", "a")], "q"), *tests])
    Path("t.jsonl").write_text(f'{{"{name}": "a"}}\n', encoding="utf-8")
    reader = RecordReader.open("t.jsonl", BotAttributes())
    result = replay(reader, ReplaySide(rules, DIRECT), ReplaySide((), DIRECT))
    assert (moved, 1 - moved) == (result.moved, result.unknown)


@pytest.mark.parametrize(
    "text", ['[{"intent": "a"}]', '[\n{"intent": "a"},\n{"intent": "b"}\n]\n', "{\n"]
)
def test_other_json_is_not_read_as_csv(text: str) -> None:
    """A list of objects, and an object of several lines, are told apart from lines of objects."""
    assert [f"t.json:1:1: {_SHAPE}"] == said(text, "t.json")
    Path("t.jsonl").write_text(
        ' {"intent": "a"}\n\t{"intent": "b"}\n', encoding="utf-8"
    )
    assert 2 == count("t.jsonl").total


def test_columns_that_no_rule_tests_are_passed_over() -> None:
    """As names of JSON are: free text in them is not an error, and no error shows it."""
    Path("t.csv").write_text(
        'intent,tier,note\na,x, called 555-1 \na,," ""5"\nb,x,1e999\n', encoding="utf-8"
    )
    assert (3, 1) == (count("t.csv").total, count("t.csv").moved)
    with pytest.raises(ManifestError):
        [*RecordReader.open("t.csv", BotAttributes()).valid_rows(None)]


def test_attributes_that_no_row_has_are_named() -> None:
    """They count as missing, which may not be what was meant; one line that has them is enough."""
    Path("t.jsonl").write_text('{"intent": "a"}\n{"intent": "b"}\n', encoding="utf-8")
    result = count("t.jsonl")
    assert (("tier",), 0, 0) == (result.unseen, result.moved, result.unknown)
    Path("t.jsonl").write_text(
        '{"intent": "a"}\n{"intent": "a", "tier": 1}\n', encoding="utf-8"
    )
    result = count("t.jsonl")
    assert ((), 1) == (result.unseen, result.moved)
    Path("t.csv").write_text("intent\na\nb\n", encoding="utf-8")
    result = count("t.csv")
    assert ((), ("tier",), 1) == (result.unseen, result.unrecorded, result.unknown)


def test_stdin_is_read_and_an_unreadable_file_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`-` is stdin.

    A folder, a pipe or a name without a file is a usage error, and nothing waits for a pipe.
    """
    monkeypatch.setattr(
        sys, "stdin", io.TextIOWrapper(io.BytesIO(b"intent,tier\na,x\n"))
    )
    assert ("stdin", 1) == (count("-").name, 1)
    with pytest.raises(UsageError, match="stdin is closed, or was already read"):
        count("-")
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UsageError, match="stdin is closed"):
        count("-")
    for name in (".", "nowhere.csv", "a\0b"):
        with pytest.raises(UsageError, match="the file cannot be read"):
            count(name)


@pytest.mark.campaign
def test_memory_does_not_grow_with_the_file() -> None:
    """Rows whose cells all differ (200,000 in the campaign): a few MiB; long cells are not
    remembered either.
    """

    def peak(rows: int, width: int) -> float:
        with Path("t.csv").open("w", encoding="utf-8") as file:
            file.write("intent,confidence,tier,id\n")
            file.writelines(
                f"i{at},{at / rows:.9f},t{at:0{width}},c{at}\n" for at in range(rows)
            )
        tracemalloc.start()
        try:
            assert rows == count("t.csv").total
            return tracemalloc.get_traced_memory()[1] / MIB
        finally:
            tracemalloc.stop()

    full = peak(10_000, 1)  # the caches are full
    assert peak(200_000 if FULL else 30_000, 1) < full + 3 < 60
    assert peak(2_000, 20_000) < 10


def test_many_pairs_and_examples_are_bounded() -> None:
    """Of 2,500 pairs of destinations, 2,000 are listed; the conversations of the others are added
    up.
    """
    many = [
        rule(f"k{at}", 1, [attribute(INTENT, "equals", f"i{at}")], f"q{at}")
        for at in range(2_500)
    ]
    Path("t.csv").write_text(
        "intent\n" + "".join(f"i{at}\n" * 2 for at in range(2_500)), encoding="utf-8"
    )
    reader = RecordReader.open("t.csv", BotAttributes())
    result = replay(reader, ReplaySide(entries(many), DIRECT), ReplaySide((), DIRECT))
    assert (5_000, 1_000, 2_000) == (result.moved, result.unlisted, len(result.pairs))
    assert all((2, 1) == (pair.conversations, len(pair.rules)) for pair in result.pairs)
    first = next(
        pair for pair in result.pairs if str(pair.before).startswith("(('q0',")
    )
    assert [2, 3] == [example.line for example in first.examples]
