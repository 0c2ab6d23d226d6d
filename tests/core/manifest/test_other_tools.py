"""Files that cxroute writes mean the same to other YAML tools, and plain scalars that do not are
warned of.
"""

from __future__ import annotations

import string
from datetime import date
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from reconciler.core.manifest.documents import (
    default_profile_yaml,
    manifest_schema_text,
)
from reconciler.core.manifest.load import load_contents
from reconciler.core.manifest.yaml_patch import apply_edits, compute_edits
from reconciler.core.manifest.yaml_reader import parse_file
from reconciler.core.manifest.yaml_writer import format_mapping
from reconciler.core.model.finding import Finding
from reconciler.features.cognigy.bot import BotIntent, merge_bot
from reconciler.features.cognigy.document import (
    head_line,
    new_document,
    update_document,
)
from reconciler.features.practice.simulator.state import TenantState
from tests.support.cases import each_case
from tests.support.grown_tenants import LIKE_YAML, generate_tenant
from tests.support.hostile_names import HOSTILE_NAMES, MARKDOWN_NAMES
from tests.support.other_tools import (
    LOADERS,
    differing_loaders,
    lint_problems,
    unstable_files,
)
from tests.support.program import Program, write
from tests.tiers import size

VALUES: Final = size(fast=10, slow=20, full=400)
FILES: Final = size(fast=10, slow=15, full=60)
BANK: Final = Path(__file__).parents[3] / "manifests"
MISREAD: Final = (
    *(
        "no",
        "No",
        "on",
        "OFF",
        "yes",
        "y",
        "N",
        "~",
        "Null",
        "NULL",
        "True",
        "FALSE",
        "=",
        "<<",
    ),
    *(
        "1:30",
        "1:30:00",
        "12:00",
        "1_0",
        "1_000.5",
        "010",
        "0o7",
        "0x1F",
        "0b1",
        "+1",
        "1.",
        ".5",
        "+.5",
    ),
    *(
        "1,000",
        ".inf",
        "-.INF",
        ".nan",
        "2026-01-01",
        "2026-1-1 10:00:00",
        "2026-01-01T10:00:00Z",
        "1_5e+3",
    ),
)
TEXTS: Final = (
    *(
        "nO",
        "nope",
        "yes please",
        "1.2.3",
        "10:75",
        "1-800",
        "v1",
        "0g",
        "12a",
        "2026",
        "--",
        "a~",
        "one,two",
    ),
    *("+49 170", "24/7", "2026-01", "1st", "e5", "x", "N/A", "NaN", "Infinity"),
)
NAMES: Final = sorted(
    {*HOSTILE_NAMES.values(), *MARKDOWN_NAMES.values(), *LIKE_YAML, *MISREAD}
    - {"a\ud800b\udfff", "caf\udce9.yaml"}
)
TEXT: Final = (
    st.sampled_from(
        [*NAMES, "a?", "? a", "why? because", 'it\'s "so"', "a: b", "- a", "a #b"]
    )
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
    | st.text("0123456789_-+.:,exobTZ ynof~=<", max_size=8)
)
SCALAR: Final = (
    TEXT
    | st.booleans()
    | st.none()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
)
VALUE: Final[SearchStrategy[Any]] = st.recursive(
    SCALAR,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4)
    ),
    max_leaves=8,
)


def documents(text: str) -> list[Any]:
    """Return what cxroute reads."""
    parsed = parse_file(text.encode(), "m.yaml")
    assert [] == parsed.collector.collected
    return [document.value for document in parsed.documents]


@pytest.mark.generated
@settings(max_examples=VALUES)
@given(value=VALUE, more=VALUE)
def test_every_value_is_the_same_to_other_loaders(value: object, more: object) -> None:
    """PyYAML, and ruamel by YAML 1.1 and 1.2, read every written text, number and name as cxroute
    does.
    """
    fields = {"first": value, "all": [value, {"more": more}]}
    text = "\n".join([*format_mapping(fields, 0), ""])
    assert [fields] == documents(text)
    assert {} == differing_loaders(text, [fields])


@pytest.mark.generated
@settings(max_examples=VALUES)
@given(
    value=VALUE,
    more=TEXT,
    style=st.sampled_from(
        ["a: x\nb: [x]\nc: {k: v}\n", "a: 'x'\nb:\n- x\nc:\n  k: \"v\"\n"]
    ),
)
def test_every_edit_is_the_same_to_other_loaders(
    value: object, more: str, style: str
) -> None:
    """A value or a name that replaces another, and a new item, in brackets and in a block."""
    old = documents(style)[0]
    new = {
        "a": value,
        "b": ["x", more, value],
        "c": {"k": more, "new": more, more: value},
    }
    edited = apply_edits(style, compute_edits(style, 0, old, new))
    assert [new] == documents(edited)
    assert {} == differing_loaders(edited, [new])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_prettier_and_yamllint_leave_every_file_as_it_is(
    tmp_path: Path, seed: int
) -> None:
    """With names of people's length.

    Prettier measures the width of a rare letter in another way.
    """
    random = Random(seed)
    directory = tmp_path
    letters = (
        string.ascii_letters + string.digits + " _-.:#'\"?[]{}|>&*!%@~=+$/\\(),äß客"
    )
    for number in range(FILES):
        names = [
            random.choice(NAMES)[:30],
            "".join(random.choices(letters, k=random.randint(0, 30))),
        ]
        item = {
            "queue": names[0],
            "weight": random.choice([80, 0.5, 1e22]),
            names[1]: names,
        }
        fields = {
            "apiVersion": "routing/v1",
            "name": names[1],
            "when": [item] * random.randint(0, 3),
            "in": names * 4,
        }
        text = "\n".join(
            [*format_mapping({**fields, "split": {names[1]: item, "x": {}}}, 0), ""]
        )
        (directory / f"{number}.yaml").write_text(text, encoding="utf-8")
    assert [] == unstable_files(directory)
    assert [] == lint_problems(directory)


@pytest.mark.slow
@pytest.mark.parametrize("forge", ["github", "gitlab", "azure", "bitbucket"])
def test_the_files_of_init_are_stable_and_load_elsewhere(
    cxroute: Program, forge: str
) -> None:
    """The manifests, their schema, and the pipelines."""
    assert 0 == cxroute("init", f"--{forge}")
    files = sorted(Path().rglob("*.y*ml"))
    assert len(files) >= 7
    for file in files:
        text = file.read_text(encoding="utf-8")
        if file.parts[0] == "manifests":
            assert {} == differing_loaders(text, documents(text)), file
    assert [] == unstable_files(Path())
    assert [] == lint_problems(Path())


@pytest.mark.slow
def test_the_printed_profile_and_schema_are_stable(tmp_path: Path) -> None:
    """`cxroute schema` prints what people keep as files."""
    (tmp_path / "profile.yaml").write_text(default_profile_yaml(), encoding="utf-8")
    (tmp_path / "schema.json").write_text(manifest_schema_text(), encoding="utf-8")
    assert [] == unstable_files(tmp_path)
    assert [] == lint_problems(tmp_path)
    assert {} == differing_loaders(
        default_profile_yaml(), documents(default_profile_yaml())
    )


@pytest.mark.slow
@pytest.mark.parametrize("into", [(), ("--into", "manifests/rules/")])
def test_an_export_is_stable_and_the_same_to_other_loaders(
    cxroute: Program, into: tuple[str, ...]
) -> None:
    """Of a tenant whose names and values look like booleans, numbers, dates and YAML."""
    tenant = generate_tenant(Random(34), 60)
    for number, text in enumerate(MISREAD):
        condition = {
            "type": "attribute",
            "attribute": "language",
            "operator": "in",
            "value": [text, "de?"],
        }
        rule = {
            **tenant.rules[0],
            "id": f"m{number}",
            "name": text,
            "description": text,
            "enabled": True,
        }
        tenant.rules.append(rule | {"conditions": [condition], "priority": number})
    write(
        "environment.yaml",
        "{apiVersion: routing/v1, kind: Environment, name: sandbox, owner: acme}\n",
    )
    with TenantState.load(
        Path(".cxroute/sandbox.json"),
        initial=TenantState(queues=tenant.queues, rules=tenant.rules),
    ):
        pass
    assert 0 == cxroute("export", "--all", *into), cxroute.err
    Path("manifests/environment.yaml").unlink()
    if not into:
        write("exported.yaml", cxroute.out)
    for file in Path("manifests").rglob("*.yaml"):
        text = file.read_text(encoding="utf-8")
        assert {} == differing_loaders(text, documents(text)), file
    assert [] == unstable_files(Path("manifests"))
    assert [] == lint_problems(Path("manifests"))
    assert 0 == cxroute("validate", "--format", "json")
    assert "CXR216" not in cxroute.out


@pytest.mark.slow
def test_an_intents_document_is_the_same_to_other_loaders(tmp_path: Path) -> None:
    """A new one, and an edited one."""
    bot = merge_bot(
        [
            BotIntent(name, "On", "no", "1_0")
            for name in (*MISREAD, "reverted?", "why? now")
        ]
    )
    head = head_line("the bot", "2026-11-28 12:00 UTC")
    new = new_document(bot, head)
    old = (
        "# Ours\napiVersion: routing/v1\nkind: Intents\nname: bot\nintents:\n  - a\n  - { name: b, "
        "label: B }\n"
    )
    edited = update_document(old.encode(), "i.yaml", bot, head, ())[0].decode()
    for number, text in enumerate((new, edited)):
        assert {} == differing_loaders(text, documents(text))
        (tmp_path / f"{number}.yaml").write_text(text, encoding="utf-8")
    assert [] == unstable_files(tmp_path)
    assert [] == lint_problems(tmp_path)


@pytest.mark.slow
def test_written_route_tests_are_the_same_to_other_loaders(cxroute: Program) -> None:
    """`test --adequacy --write` writes values of conditions."""
    head = "apiVersion: routing/v1\nkind: "
    write("e.yaml", f"{head}Environment\nname: prod\nowner: acme\ntenant: acme\n")
    rules = ["apiVersion: routing/v1", "kind: RuleSet", "name: cards"]
    fields = [
        {
            "key": f"k{number}",
            "queue": "a",
            "when": [{"attribute": "language", "equals": text}],
        }
        for number, text in enumerate(("no", "1:30", "2026-01-01", "0o7", "why?"))
    ]
    write("r.yaml", "\n".join([*rules, *format_mapping({"rules": fields}, 0), ""]))
    assert 0 == cxroute("test", "--adequacy", "--write", "manifests/t.yaml"), (
        cxroute.err
    )
    stored = Path("manifests/t.yaml").read_text(encoding="utf-8")
    assert "why?" in stored
    assert {} == differing_loaders(stored, documents(stored))
    assert [] == unstable_files(Path("manifests"))
    assert [] == lint_problems(Path("manifests"))


@pytest.mark.slow
def test_a_table_writes_texts_that_other_loaders_read_as_texts(
    cxroute: Program,
) -> None:
    """A cell with the language no."""
    head = "apiVersion: routing/v1\nkind: "
    write("e.yaml", f"{head}Environment\nname: prod\nowner: acme\ntenant: acme\n")
    rule = "{ attribute: language, equals: de }"
    write(
        "r.yaml",
        f"{head}RuleSet\nname: cards\nrules:\n  - key: a\n    queue: x\n    when: [{rule}]\n",
    )
    assert 0 == cxroute("table", "-e", "prod", "--out", "t.csv")
    table = Path("t.csv")
    table.write_text(
        table.read_text(encoding="utf-8").replace(",de,", ",no,"), encoding="utf-8"
    )
    assert 0 == cxroute("table", "-e", "prod", "--from", "t.csv"), (
        cxroute.err + cxroute.out
    )
    text = Path("manifests/r.yaml").read_text(encoding="utf-8")
    assert 'when: [{ attribute: language, equals: "no" }]\n' in text
    assert {} == differing_loaders(text, documents(text))
    assert [] == unstable_files(Path("manifests"))
    assert [] == lint_problems(Path("manifests"))


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize(
    "file",
    sorted(BANK.rglob("*.y*ml")),
    ids=lambda path: path.relative_to(BANK).as_posix(),
)
def test_the_bank_is_the_same_to_other_loaders(file: Path) -> None:
    """Dates in a field that holds a date are dates there, and stay so."""
    text = file.read_text(encoding="utf-8")
    for load in LOADERS.values():
        assert documents(text) == list(map(_with_dates_as_texts, load(text)))


def _with_dates_as_texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _with_dates_as_texts(item) for name, item in value.items()}
    if isinstance(value, list):
        return list(map(_with_dates_as_texts, value))
    return value.isoformat() if isinstance(value, date) else value


HEAD: Final = "apiVersion: routing/v1\nkind: RuleSet\nname: cards\nrules:\n"


def warnings_of(text: str) -> list[Finding]:
    return list(load_contents([("m.yaml", text.encode())]).warnings)


def rule_with(text: str) -> str:
    return f"{HEAD}  - {{key: a, queue: b, when: [{{attribute: language, in: [de, {text}]}}]}}\n"


@each_case("text", MISREAD)
def test_a_plain_scalar_that_other_tools_misread_is_warned_of(text: str) -> None:
    """As a value, with the text in quotes as the remedy; in quotes, it is not a finding."""
    where = (
        f"{HEAD}  - key: a\n    queue: b\n    when:\n      - attribute: language\n        equals: "
        f""
    )
    (actual,) = warnings_of(f"{where}{text}\n")
    assert ("CXR216", "warning", len(text)) == (
        actual.code,
        actual.severity,
        actual.span,
    )
    assert actual.message.startswith(f"other YAML tools read {text} as ")
    assert f'put it in quotes: "{text}"' == actual.hint
    assert [] == warnings_of(f'{where}"{text}"\n')
    assert [] == warnings_of(f"{where}'{text}'\n")


@each_case("text", [*TEXTS, "true", "false", "12", "-0.5", "1.0e+3", "-2.5E-3"])
def test_a_scalar_that_all_tools_read_alike_is_not_a_finding(text: str) -> None:
    """Texts; and booleans and numbers, which cxroute reads as such, too."""
    assert [] == warnings_of(rule_with(text))


@pytest.mark.slow
@given(st.text("0123456789_-+.:exobTZynofNOYESaulr~=<", min_size=1, max_size=9))
def test_no_misread_scalar_passes_without_a_warning(text: str) -> None:
    """If any loader reads something else than cxroute reads, there is a warning."""
    line = f"a: {text}\n"
    parsed = parse_file(line.encode(), "m.yaml")
    if parsed.collector.collected or not isinstance(parsed.documents[0].value, dict):
        return
    if differing_loaders(line, [parsed.documents[0].value]):
        assert {3: 3 + len(text)} == parsed.collector.misread


@each_case(
    "number, decimal",
    [
        ("1e3", "1000"),
        ("1.5e3", "1500"),
        ("2E+2", "200"),
        ("-5e-1", "-0.5"),
        ("1e22", "1.0e+22"),
    ],
)
def test_a_number_that_other_tools_misread_is_warned_of(
    number: str, decimal: str
) -> None:
    """YAML 1.1 reads 1e3 as a text, which another rule compares with.

    What the hint says is read alike.
    """
    (actual,) = warnings_of(rule_with(number))
    message = f"other YAML tools read {number} as a text, and cxroute reads a number"
    assert ("CXR216", message, f"write {decimal}") == (
        actual.code,
        actual.message,
        actual.hint,
    )
    assert [] == warnings_of(rule_with(decimal))
    (value,) = documents(f"a: {number}\n")
    assert {} == differing_loaders(f"a: {decimal}\n", [value])


@each_case("text", ["why?", "a?b", "reverted?"])
@each_case("line", ["in: [de, {}]", "{{a: {}}}", "{{{}: a}}", "[[{{x: [{}]}}]]"])
def test_a_question_mark_in_brackets_is_warned_of(line: str, text: str) -> None:
    """Loaders of YAML 1.1 refuse the file.

    In quotes, and outside of brackets, all of them read it.
    """
    stored = f"a: {line.format(text).removeprefix('in: ')}\nb: {text}\n"
    parsed = parse_file(stored.encode(), "m.yaml")
    assert [stored[start:end] for start, end in parsed.collector.misread.items()] == [
        text
    ]
    assert (
        set(LOADERS) - {"ruamel 1.2"}
        <= differing_loaders(stored, documents(stored)).keys()
    )
    quoted = stored.replace(text, f'"{text}"', 1)
    assert {} == parse_file(quoted.encode(), "m.yaml").collector.misread
    assert {} == differing_loaders(quoted, documents(quoted))


def test_the_warning_of_a_question_mark_says_what_to_write() -> None:
    """With the text in quotes."""
    (actual,) = warnings_of(rule_with("why?"))
    message = "other YAML tools refuse why? in brackets, because of its question mark"
    assert ("CXR216", message, 'put it in quotes: "why?"', 4) == (
        actual.code,
        actual.message,
        actual.hint,
        actual.span,
    )


def test_a_misread_key_is_warned_of() -> None:
    """A value of an attribute may be a key: its label would go to another value."""
    text = (
        "apiVersion: routing/v1\nkind: Attributes\nname: a\nattributes:\n  language: {values: {no: "
        "Norwegian}}\n"
    )
    (actual,) = warnings_of(text)
    assert actual.source
    assert ("CXR216", 'put it in quotes: "no"', 5, 23) == (
        actual.code,
        actual.hint,
        actual.source.line,
        actual.source.column,
    )


def test_dates_of_date_fields_are_not_findings() -> None:
    """Other tools read a date there, and so does cxroute.

    The same date in a reason, or as a name, is a text.
    """
    text = (
        "apiVersion: routing/v1\nkind: Environment\nname: prod\nowner: a\ntenant: a\n"
        "vars: {until: 2026-12-01, start: on}\n"
        "freeze: [{start: 2026-12-20, end: 2027-01-02, timezone: Europe/Berlin, reason: "
        "2026-12-20}]\n"
        "guard: {allow: [{name: deletes, until: 2026-12-01T00:00:00Z, reason: CHG}]}\n"
        f"---\n{HEAD}  - {{intent: a, queue: b, hold: {{until: 2026-12-01T08:00:00+01:00}}}}\n"
    )
    assert ["2026-12-01", "on", "2026-12-20"] == [
        actual.message.split()[4] for actual in warnings_of(text)
    ]


def test_a_value_with_an_error_has_no_second_finding(
    room: Path, cxroute: Program
) -> None:
    """`enabled: yes` is wrong, whatever other tools read."""
    del room
    write("m.yaml", f"{HEAD}  - {{intent: a, queue: b, enabled: yes}}\n")
    assert 3 == cxroute("validate", "--format", "json")
    assert "CXR216" not in cxroute.out


def test_a_misread_secret_is_not_shown() -> None:
    """A secret in place of a variable's name may look like a number."""
    text = (
        "apiVersion: routing/v1\nkind: Environment\nname: prod\nowner: a\ntenant: a\ncredentials: "
        "{clientIdEnv: y}\n"
    )
    (actual,) = warnings_of(text)
    message = "other YAML tools read this value as another one"
    assert (message, "put it in quotes", "") == (
        actual.message,
        actual.hint,
        actual.excerpt,
    )


def test_many_misread_texts_do_not_hide_errors() -> None:
    """A file with thousands of them is valid, and gets a bounded number of findings."""
    actual = warnings_of(
        HEAD + "".join(f"  - {{key: k{n}, queue: 1_{n}}}\n" for n in range(3000))
    )
    assert (101, {"warning"}) == (len(actual), {each.severity for each in actual})
    assert (
        "further texts that other YAML tools misread, the first one here"
        == actual[-1].message
    )
