"""`cxroute studio`: the block of an Environment, the probe, the recipe, and snippets as
manifests.
"""

from __future__ import annotations

import io
import json
import random
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from reconciler.features.studio_block.trial import try_snippet
from reconciler.targets.studio.evaluate import possible_dialects, run_snippet
from reconciler.targets.studio.imported import ImportedSnippet
from reconciler.targets.studio.language import parse_snippet
from reconciler.targets.studio.layout import BlockLayout
from reconciler.targets.studio.probe import probe_snippet
from tests.support.cases import each_case
from tests.support.hostile_names import CONTROL_CHARACTERS
from tests.support.program import Program, write
from tests.support.studio_rules import last_trace
from tests.support.work_bounds import takes_at_most
from tests.support.written_snippets import large_snippet
from tests.tiers import size

ENVIRONMENT = """\
apiVersion: routing/v1
kind: Environment
name: prod
owner: acme-routing
tenant: acme
api:
  auth: access-key
  area: na1
  queues: acd-skills
  rules: studio
  studio:
    script: 'Bot\\Hand-over'
    variables: {intent: intent, confidence: confidence}
"""
RULES = """\
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {intent: lost, queue: fraud, priority: 10}
  - {key: rest, when: [], targets: [{queue: cards, weight: 4}, {queue: General, weight: 1}], priority: 900}
"""
QUEUES = """\
apiVersion: routing/v1
kind: Queues
name: queues
queues: {fraud: {prod: {id: "4001"}}, cards: {prod: {id: "4002"}}, General: {prod: {id: "4003"}}}
"""
EXPECTED = """\
apiVersion: routing/v1
kind: Queues
name: queues
queues:
  fraud-desk-4001: { prod: { id: "4001" } }
  skill-4002: { prod: { id: "4002" } }
---
# Rules of a hand-written snippet.
apiVersion: routing/v1
kind: RuleSet
name: s
rules:
  - intent: Lost card
    minConfidence: 0.7
    queue: fraud-desk-4001
    priority: 10
  - key: lost
    intents: [lost, stolen]
    queue: skill-4002
    priority: 20
  - key: rule-3
    when: []
    queue: fraud-desk-4001
    priority: 30
"""
IDS = (4001, 4002, 4003, 4004)


@pytest.fixture
def program(cxroute: Program, monkeypatch: pytest.MonkeyPatch) -> Program:
    """The program, in a folder with an Environment whose rules are in a Studio script."""
    write("prod.yaml", ENVIRONMENT)
    monkeypatch.setenv("CXROUTE_ENV", "prod")
    return cxroute


def hand_written(count: int, draw: random.Random) -> str:
    """Return a snippet of CASEs as people write it: odd blanks, comments, copies, and a shadowed
    rule in the middle.
    """
    lines = ['ASSIGN said$ = "{Intent}"   // what the bot said', "Select", "{"]
    for at in range(count):
        intent = f"intent_{at if at % 60 else 0}"
        test = draw.choice(
            (f'said$ = "{intent}"', f'intent="{intent}"', f'( Intent  =  "{intent}" )')
        )
        if at % 7 == 3:
            test = f"( {test} ) & ( confidence >= 0.{draw.randint(1, 9)} )"
        lines += draw.choice(([], ["", f"\t// about {at}"]))
        lines += [
            f"{draw.choice(('CASE', 'Case', '  case'))} {test}",
            *draw.choice((["{"], ["", " {"])),
        ]
        skill = IDS[at % 4]
        lines += [
            f"    {draw.choice(('ASSIGN ', ''))}skill={skill}   // Desk {skill}",
            "\t}",
        ]
    return "\r\n".join([*lines, "  DEFAULT {", "    skill = 4004", "  }", "}", ""])


@pytest.mark.generated
def test_three_hundred_cases_become_manifests_that_build_the_same(
    program: Program,
) -> None:
    """The lint names copies and shadowed rules; an import into the manifests is valid, and its
    block routes alike.
    """
    count = size(fast=14, slow=70, full=300)
    text = hand_written(count, random.Random(19))
    Path("old.txt").write_bytes(text.encode())
    assert 0 == program("studio", "import", "old.txt", "--into", "manifests/")
    assert (
        "wrote manifests/queues.yaml\nwrote manifests/old.yaml\nProven: " in program.out
    )
    assert f"route as the {count + 1} rules of the snippet, by `skill`" in program.out
    copies = (count - 1) // 60  # each is intent_0
    assert copies == program.out.count("warning[CXR202]: never reached: ")
    assert 'desk-4001-4001: { prod: { id: "4001" } }' in Path(
        "manifests/queues.yaml"
    ).read_text("utf-8")
    assert 0 == program("validate")
    assert 0 == program("studio", "build", "--out", "block.txt")
    block = parse_snippet(Path("block.txt").read_text("utf-8"))
    snippet = parse_snippet(text)
    dialects = possible_dialects({"digitTextIsNumber": True, "mixedIsZero": False})
    for at in range(0, count, 23):
        for spelling in (f"intent_{at}", f"Intent_{at} "):
            values: dict[str, Any] = {
                "intent": spelling,
                "confidence": 0.05 * (at % 20),
            }
            for dialect in dialects:
                expected = run_snippet(snippet, values, dialect)["skill"]
                assert expected == run_snippet(block, values, dialect)["cxr_skill"], (
                    values,
                    dialect,
                )


def test_an_import_is_printed_with_the_rules_of_the_snippet(program: Program) -> None:
    """Attributes have the names of the Environment; keys and aliases are readable; stdout is the
    manifest alone.
    """
    snippet = 'SELECT {\n// Fraud desk\nCASE ( intent = "Lost card" ) & ( confidence >= 0.7 )\n{ skill = 4001 }\n'
    snippet += 'CASE ( intent = "stolen" ) | ( intent = "lost" ) { skill = 4002 }\n'
    snippet += "DEFAULT { skill = 4001\nprio = 5 }\n}"
    Path("s.txt").write_text(snippet, encoding="utf-8")
    assert 0 == program("studio", "import", "s.txt")
    head, _, manifest = program.out.partition("\n")
    assert head.startswith("# Live rules of prod (live rules from s.txt), read ")
    assert EXPECTED == manifest
    assert (
        "warning: line 7: rules do not assign prio: keep it in the script"
        in program.err
    )
    assert "route as the 3 rules of the snippet, by `skill`" in program.err
    assert (
        "The snippet itself was run on 4 examples, in every possible dialect of Studio, "
        in program.err
    )


def test_an_import_reuses_aliases_and_free_names(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An alias of the skill is used; names of RuleSets and rules that exist are not; `-` reads
    stdin.
    """
    write("rules.yaml", RULES.replace("name: cards", "name: rules"))
    write("queues.yaml", QUEUES)
    monkeypatch.setattr(
        sys,
        "stdin",
        io.StringIO(
            'SELECT {\nCASE intent = "lost" { skill = 4002 }\nDEFAULT { skill = 4009 } }'
        ),
    )
    assert 0 == program("studio", "import", "-", "--into", "manifests/new.yaml")
    text = Path("manifests/new.yaml").read_text("utf-8")
    assert 'queues:\n  skill-4009: { prod: { id: "4009" } }\n' in text
    assert "name: queues-2" in text
    assert "name: rules-2" in text
    assert (
        '- intent: lost\n    queue: cards\n    priority: 10\n    name: "Cognigy Intent Route: rules-2/lost"'
        in text
    )
    assert 0 == program("validate")


def test_the_block_of_the_manifests_is_imported_as_the_same_rules(
    program: Program,
) -> None:
    """Its rules keep addresses, names, priorities and state; without its comments, it is a
    hand-written snippet.
    """
    write("rules.yaml", RULES.replace("priority: 900", "priority: 900, enabled: false"))
    write("queues.yaml", QUEUES)
    assert 0 == program("studio", "build", "--out", "block.txt")
    block = Path("block.txt").read_text("utf-8")
    assert block.startswith("// cxroute:begin acme-routing/main\n")
    Path("manifests/rules.yaml").unlink()
    assert 0 == program(
        "studio", "import", "block.txt", "--into", "manifests/again.yaml"
    )
    assert "name: cards\nrules:\n  - intent: lost\n" in Path(
        "manifests/again.yaml"
    ).read_text("utf-8")
    assert 0 == program("studio", "build")
    assert block == program.out
    Path("manifests/again.yaml").unlink()
    Path("bare.txt").write_text(
        "\n".join(line for line in block.split("\n") if "//" not in line),
        encoding="utf-8",
    )
    assert 0 == program("studio", "import", "bare.txt")
    assert "- intent: lost\n    queue: fraud\n    priority: 10\n" in program.out
    assert 64 == program("studio", "import", "block.txt", "-e", "sandbox")
    assert "managed block" in program.err
    edited = block.replace('= "lost"', '~ "lost"').replace(
        "// cxroute:end", "GOSUB other\n// cxroute:end"
    )
    Path("block.txt").write_text(edited, encoding="utf-8")
    assert 1 == program(
        "studio", "import", "block.txt", "--into", "manifests/again.yaml"
    )
    assert re.search(
        "nothing was written: edited by hand, and not understood: line [0-9]+, cards/lost",
        program.err,
    )


def test_an_environment_of_highest_first_gets_descending_priorities(
    program: Program,
) -> None:
    """The order stays: the first CASE has the highest priority."""
    write(
        "prod.yaml",
        ENVIRONMENT.replace("  area: na1", "  area: na1\n  evaluation: highest-first"),
    )
    text = (
        'SELECT {\nCASE ( intent = "a" ) & ( confidence >= 0.7 ) { skill = 4001 }\n'
        'CASE intent = "a" { skill = 4002 }\n}'
    )
    Path("s.txt").write_text(text, encoding="utf-8")
    assert 0 == program("studio", "import", "s.txt", "--into", "manifests/")
    manifest = Path("manifests/s.yaml").read_text("utf-8")
    assert manifest.index(
        "minConfidence: 0.7\n    queue: skill-4001\n    priority: 20"
    ) < manifest.index("priority: 10")


def test_the_trial_names_a_fact_on_which_a_snippet_depends(program: Program) -> None:
    """A missing number may be 0 or an empty text: the snippet is run in every dialect that is
    possible.
    """
    Path("s.txt").write_text(
        "SELECT {\nCASE score >= 0 { skill = 1 }\n}", encoding="utf-8"
    )
    assert 0 == program("studio", "import", "s.txt")
    assert (
        "warning: in 8 of 16 possible dialects of Studio, the snippet does not decide as its "
        "rules: " in program.err
    )
    write("prod.yaml", ENVIRONMENT + "    dialect: {mixedIsZero: true}\n")
    assert 0 == program("studio", "import", "s.txt")
    assert (
        "in every possible dialect of Studio, and assigns the skills of the rules. This holds "
        "where " in program.err
    )
    Path("s.txt").write_text(
        "music = f(1)\nSELECT {\nCASE score > 2 { skill = 1 }\n}", encoding="utf-8"
    )
    assert 0 == program("studio", "import", "s.txt")
    assert "warning: the snippet itself was not run: line 1: " in program.err
    assert (
        "warning: line 1: rules do not assign music: keep it in the script"
        in program.err
    )


@pytest.mark.parametrize("form", ["json", "saved", "xml", "crlf"])
def test_the_snippet_of_a_script_is_found(program: Program, form: str) -> None:
    """In the JSON of a script, in that of a save, and in XML; other texts, also such as begin with
    If, do not count.
    """
    snippet = 'SELECT\n{\nCASE ( intent = "lost" )\n{ skill = 4001 }\nDEFAULT { skill = 4002 }\n}'
    values = {
        "2": {"0": {"name": "Text", "value": "If you are lost, say so"}},
        "3": {"0": {"name": "x", "value": snippet}},
    }
    script: dict[str, Any] = {
        "header": {},
        "actions": {},
        "properties": values,
        "branches": {},
    }
    inner = snippet.replace("&", "&amp;").replace("<", "&lt;")
    parts = (
        f"<ActionStruct><Parameters><string>If "
        f"you</string><string>{inner}</string></Parameters></ActionStruct>"
    )
    texts = {
        "json": json.dumps(script),
        "saved": json.dumps({"scriptContent": json.dumps(script)}),
        "xml": f"<ScriptContainer><Actions>{parts}</Actions></ScriptContainer>",
        "crlf": snippet.replace("\n", "\r\n"),
    }
    Path("script").write_bytes(texts[form].encode())
    assert 0 == program("studio", "import", "script")
    assert "as the 2 rules of the snippet" in program.err


def test_what_rules_cannot_say_is_listed_with_lines_and_nothing_is_written(
    program: Program,
) -> None:
    """Each line is named with its text, at once."""
    text = 'SELECT {\nCASE intent.endswith("x") { skill = 4001 }\nCASE intent = "a" { skill = f(1) }\n}\nGOSUB other'
    Path("s.txt").write_text(text, encoding="utf-8")
    assert 1 == program("studio", "import", "s.txt", "--into", "manifests/")
    for line, part in ((2, "intent.endswith"), (3, "skill = f(1)"), (5, "GOSUB other")):
        assert re.search(rf"\n  line {line}: .*{re.escape(part)}", program.err)
    assert ["prod.yaml"] == [path.name for path in Path("manifests").iterdir()]


def test_hostile_input_ends_in_one_clear_sentence(program: Program) -> None:
    """No input makes a traceback or puts a control character on the terminal; the exit code is that
    of an error.
    """
    deep = "IF a = 1 { " * 5_000
    wide = (
        "CASE "
        + " & ".join(f'( ( a{at} = "x" ) | ( b{at} = "y" ) )' for at in range(40))
        + " { skill = 4001 }"
    )
    names = "\x1b]0;owned\x07 \u202e \x00"
    texts = [
        deep,
        "(" * 9_999,
        f"SELECT {{\n{wide}\n}}",
        f'IF intent = "{names}" {{ skill = {names} }}',
        "{",
        "<a",
        "}}",
    ]
    texts += [
        '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        "[1]",
        "{}",
        '{"properties": 3}',
        "",
        names,
        "IF {",
        "\ufeff{",
    ]
    texts += [
        '{"scriptContent": ' * 2_000,
        f'IF a = "b" {{ {names} = 4001 }}',
    ]
    texts += [
        'IF a = "b" { skill = ' + "9" * 5_000 + " }",
        "IF a > " + "9" * 5_000 + " { skill = 4001 }",
    ]
    for text in texts:
        Path("s.txt").write_text(text, encoding="utf-8")
        code = program("studio", "import", "s.txt")
        assert code == 1, (text[:80], program.err)
        assert program.err.startswith("error: "), text[:80]
        assert "bug" not in program.err, (text[:80], program.err)
        assert not CONTROL_CHARACTERS.search(program.err.replace("\n", "")), text[:80]
    for literal in ("x" * 2_000, "x" * 70_000):
        Path("s.txt").write_text(
            f'SELECT {{\nCASE intent = "{literal}" {{ skill = 1 }}\n}}',
            encoding="utf-8",
        )
        assert 1 == program("studio", "import", "s.txt")
        assert "error: nothing was written: line 2 cannot be a rule: " in program.err
    Path("s.txt").write_text("// cxroute:begin a/b\nIF x", encoding="utf-8")
    assert 64 == program("studio", "import", "s.txt")
    assert "the file has a managed block" in program.err
    Path("s.txt").write_bytes(b"IF \xff")
    assert 64 == program("studio", "import", "s.txt")
    assert 64 == program("studio", "import", "missing.txt")


def test_queues_without_a_skill_id_are_listed_in_one_error(program: Program) -> None:
    """`build` needs no network; it names every queue that has no id, and where to write it.

    The exit code is 3.
    """
    write("rules.yaml", RULES)
    write(
        "queues.yaml",
        QUEUES.replace('fraud: {prod: {id: "4001"}}', "fraud: Fraud Desk").replace(
            ', General: {prod: {id: "4003"}}', ""
        ),
    )
    assert 3 == program("studio", "build", "--out", "block.txt")
    assert "2 queues without a skill id: Fraud Desk, General" in program.err
    assert '`{prod: {id: "4001"}}`' in program.err
    assert "`plan` and `apply` read them from the tenant" in program.err
    assert not Path("block.txt").exists()


@pytest.mark.parametrize("task", ["build", "recipe"])
def test_an_environment_of_the_rules_api_has_no_block(
    program: Program, task: str
) -> None:
    """The message names the setting that is missing; the exit code is 64."""
    assert 64 == program("studio", task, "-e", "sandbox")
    assert (
        "the rules of Environment sandbox are not in a Studio script: set `api.rules: studio`"
        in program.err
    )


def test_the_probe_finds_each_dialect(program: Program) -> None:
    """The printed snippet, run in a dialect, has a last line from which `--result` prints exactly
    its facts.
    """
    assert 0 == program("studio", "probe", "-m", "nowhere")
    assert probe_snippet() == program.out
    for dialect in possible_dialects({}):
        line = last_trace(program.out, dialect)
        names = ("caseSensitive", "trimsBlanks", "digitTextIsNumber", "mixedIsZero")
        expected = "".join(
            f"  {name}: {str(value).lower()}\n"
            for name, value in zip(names, dialect, strict=True)
        )
        assert 0 == Program.__call__(program, "studio", "probe", "--result", line)
        assert f"dialect:\n{expected}" == program.out
        assert 0 == program("studio", "probe")
    assert 64 == program("studio", "probe", "--result", "nothing")
    assert "copy its last line" in program.err
    for counts in ("4000", "0300", "0020", "0002"):
        assert 64 == program("studio", "probe", "--result", f"cxr-probe:{counts}")
        assert "copy" in program.err


def test_the_recipe_presets_every_variable_of_the_rules(program: Program) -> None:
    """It names the marker lines and each variable that the block reads."""
    write(
        "rules.yaml",
        RULES.replace("when: []", "when: [{attribute: tier, equals: gold}]"),
    )
    assert 0 == program("studio", "recipe")
    for line in (
        "// cxroute:begin acme-routing/main",
        'ASSIGN intent = ""',
        'ASSIGN tier = ""',
        "{cxr_skill}",
    ):
        assert line in program.out


@each_case(
    "line, said",
    [
        ("studio", "the following arguments are required: task"),
        ("studio import", "studio import needs FILE"),
        (
            "studio build s.txt",
            "FILE is an option of `studio import`, not of `studio build`",
        ),
        (
            "studio import s.txt --out x",
            "--out is an option of `studio build`, not of `studio import`",
        ),
        (
            "studio recipe --result x",
            "--result is an option of `studio probe`, not of `studio recipe`",
        ),
        ("studio import s.txt --into old.txt", "must end in .yaml"),
    ],
)
def test_an_option_of_another_task_is_a_usage_error(
    program: Program, line: str, said: str
) -> None:
    """The exit code is 64, and the message says to which task the option belongs."""
    assert 64 == program(*line.split())
    assert said in program.err


CHAIN = """\
IF ( intent = "lost" ) & ( confidence >= 0.7 )
{
  skill = "Billing Team"
}
ELSE
{
  IF ( intent = "lost" ) & ( confidence < 0.7 )
  {
    skill = "Cards"
  }
  ELSE
  {
    skill = "Billing Team"
  }
}
"""


@each_case(
    "words",
    [
        "studio import chain.txt -e new --into manifests/",
        "studio -e new import chain.txt --into manifests/",
        "studio import -e new chain.txt --into manifests/",
        "-e new studio import --into manifests/ chain.txt",
    ],
)
def test_the_first_import_writes_an_environment(cxroute: Program, words: str) -> None:
    """Before there is a folder of manifests, and with -e in any place; it states what the snippet
    assigns, and has placeholders for the tenant.
    """
    shutil.rmtree("manifests", ignore_errors=True)
    Path("chain.txt").write_text(CHAIN, encoding="utf-8")
    assert 0 == cxroute(*words.split()), cxroute.err
    environment = Path("manifests/new-environment.yaml").read_text("utf-8")
    assert "rules: studio" in environment
    assert "result: { skill: skill, as: name }" in environment
    queues = Path("manifests/queues.yaml").read_text("utf-8")
    assert "queues:\n  billing-team: Billing Team\n  cards: Cards\n" in queues
    assert 0 == cxroute("studio", "build", "-e", "new")
    assert 'ASSIGN skill = "Billing Team"' in cxroute.out
    assert 3 == cxroute("validate")
    assert 1 == cxroute.err.count("error[") + cxroute.out.count("error[")
    assert "your-tenant.invalid" in cxroute.out + cxroute.err


def test_an_import_without_manifests_and_without_e_is_for_the_sandbox(
    cxroute: Program,
) -> None:
    """It writes no Environment, and says what the Environment of the script must state."""
    Path("chain.txt").write_text(CHAIN, encoding="utf-8")
    assert 0 == cxroute("studio", "import", "chain.txt")
    assert "kind: Environment" not in cxroute.out
    assert "state `api.studio.result: {as: name}`" in cxroute.err


def test_a_broken_manifest_is_an_error_of_the_import(program: Program) -> None:
    """Only a folder without any manifest is accepted."""
    write("broken.yaml", "kind: 5")
    Path("chain.txt").write_text(CHAIN, encoding="utf-8")
    assert 3 == program("studio", "import", "chain.txt")


def test_a_name_of_a_queue_in_the_manifests_is_that_queue(program: Program) -> None:
    """By an alias with that name in the tenant, or as an alias itself."""
    known = "queues: {billing: Billing Team, Cards: {prod: {id: '4002'}}}"
    write("queues.yaml", re.sub("queues: .*", known, QUEUES))
    Path("chain.txt").write_text(CHAIN, encoding="utf-8")
    assert 0 == program("studio", "import", "chain.txt")
    assert "kind: Queues" not in program.out
    assert {"billing", "Cards"} == set(re.findall("queue: (.*)", program.out))


def test_a_script_with_several_decisions_names_them(program: Program) -> None:
    """The actions are listed with their captions; --action chooses one."""
    actions = {"7": {"caption": "Choose"}, "9": {"caption": "Close"}}
    texts = {"7": CHAIN, "9": 'IF open = "no" { skill = 4009 }'}
    properties = {
        number: {"0": {"name": "Text", "value": text}} for number, text in texts.items()
    }
    script = {"header": {}, "actions": actions, "properties": properties}
    Path("script.json").write_text(json.dumps(script), encoding="utf-8")
    assert 64 == program("studio", "import", "script.json")
    assert (
        "2 snippets of the script could be meant: choose one with --action ID, of the "
        'actions 7 "Choose", 9 "Close"' in program.err
    )
    assert 0 == program("studio", "import", "script.json", "--action", "9")
    assert "as the 1 rule of the snippet" in program.err
    assert 64 == program("studio", "import", "script.json", "--action", "8")
    assert "--action 8: no snippets with a decision" in program.err


def test_two_bands_of_a_confidence_are_imported(program: Program) -> None:
    """The trial takes examples of the types that the snippet compares: no text as a confidence."""
    band = 'intent = "lost" & confidence'
    Path("s.txt").write_text(
        f"SELECT {{\nCASE {band} >= 0.7 {{ skill = 1 }}\nCASE {band} < 0.7 {{ skill = 2 }}\n"
        "DEFAULT { skill = 3 }\n}",
        encoding="utf-8",
    )
    assert 0 == program("studio", "import", "s.txt"), program.err
    assert "in every possible dialect of Studio" in program.err
    for field in ("minConfidence: 0.7", "belowConfidence: 0.7", "notExists: true"):
        assert field in program.out


@pytest.mark.slow
def test_a_large_snippet_is_imported_soon() -> None:
    """40 KB of CASEs, chains of IFs, and SELECTs inside of an IF, with the trial of the snippet."""
    text = large_snippet(40_000)
    layout = BlockLayout(owner="acme", block="main", variables={})
    with takes_at_most(120_000):  # three seconds on the machine where it was measured
        imported = ImportedSnippet(text, layout)
        said = try_snippet(text, imported, layout)
    assert "assigns the skills of the rules" in said
    assert len(imported.rules) > 300
