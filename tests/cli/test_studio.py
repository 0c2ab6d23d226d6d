"""`cxroute studio`: the block of an Environment, the probe, the recipe, and snippets as manifests."""

from __future__ import annotations

import io
import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from reconciler.studio.dialect import possible_dialects
from reconciler.studio.evaluate import run_snippet
from reconciler.studio.language import parse_snippet
from reconciler.studio.probe import probe_snippet
from tests.support.hostile_names import CONTROL_CHARACTERS
from tests.support.program import Program, write
from tests.tiers import FULL

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
IDS = (4001, 4002, 4003, 4004)


@pytest.fixture
def program(cxroute: Program, monkeypatch: pytest.MonkeyPatch) -> Program:
    """The program, in a folder with an Environment whose rules are in a Studio script."""
    write("prod.yaml", ENVIRONMENT)
    monkeypatch.setenv("CXROUTE_ENV", "prod")
    return cxroute


def hand_written(count: int, draw: random.Random) -> str:
    """Return a snippet of CASEs as people write it: odd blanks, comments, copies, and a shadowed rule in the middle."""
    lines = ['ASSIGN said$ = "{Intent}"   // what the bot said', "Select", "{"]
    for at in range(count):
        intent = f"intent_{at if at % 60 else 0}"
        test = draw.choice((f'said$ = "{intent}"', f'intent="{intent}"', f'( Intent  =  "{intent}" )'))
        if at % 7 == 3:
            test = f"( {test} ) & ( confidence >= 0.{draw.randint(1, 9)} )"
        lines += draw.choice(([], ["", f"\t// about {at}"]))
        lines += [f"{draw.choice(('CASE', 'Case', '  case'))} {test}", *draw.choice((["{"], ["", " {"]))]
        skill = IDS[at % 4]
        lines += [f"    {draw.choice(('ASSIGN ', ''))}skill={skill}   // Desk {skill}", "\t}"]
    return "\r\n".join([*lines, "  DEFAULT {", "    skill = 4004", "  }", "}", ""])


def test_three_hundred_cases_become_manifests_that_build_the_same(program: Program) -> None:
    """The lint names copies and shadowed rules; an import into the manifests is valid, and its block routes alike."""
    count = 300 if FULL else 70
    text = hand_written(count, random.Random(19))
    Path("old.txt").write_bytes(text.encode())
    assert 0 == program("studio", "import", "old.txt", "--into", "manifests/")
    assert "wrote manifests/queues.yaml\nwrote manifests/old-txt.yaml\nProven: " in program.out
    assert f"route every conversation as the {count + 1} rules of the snippet" in program.out
    copies = (count - 1) // 60  # each is intent_0
    assert copies == program.out.count("warning[CXR202]: never reached: ")
    assert 'desk-4001: {prod: {id: "4001"}}' in Path("manifests/queues.yaml").read_text("utf-8")
    assert 0 == program("validate")
    assert 0 == program("studio", "build", "--out", "block.txt")
    block, snippet = parse_snippet(Path("block.txt").read_text("utf-8")), parse_snippet(text)
    dialects = possible_dialects({"digitTextIsNumber": True, "mixedIsZero": False})
    for at in range(0, count, 23):
        for spelling in (f"intent_{at}", f"Intent_{at} "):
            values: dict[str, Any] = {"intent": spelling, "confidence": 0.05 * (at % 20)}
            for dialect in dialects:
                expected = run_snippet(snippet, values, dialect)["skill"]
                assert expected == run_snippet(block, values, dialect)["cxr_skill"], (values, dialect)


def test_an_import_is_printed_with_the_rules_of_the_snippet(program: Program) -> None:
    """Attributes have the names of the Environment; keys and aliases are readable; stdout is the manifest alone."""
    snippet = 'SELECT {\n// Fraud desk\nCASE ( intent = "Lost card" ) & ( confidence >= 0.7 )\n{ skill = 4001 }\n'
    snippet += 'CASE intent = "lost card" { skill = 4002 }\nDEFAULT { skill = 4001\nprio = 5 }\n}'
    Path("s.txt").write_text(snippet, encoding="utf-8")
    assert 0 == program("studio", "import", "s.txt")
    expected = """\
apiVersion: routing/v1
kind: Queues
name: queues
queues:
  fraud-desk: {prod: {id: "4001"}}
  skill-4002: {prod: {id: "4002"}}
---
# Imported from s.txt.
apiVersion: routing/v1
kind: RuleSet
name: s-txt
rules:
  # line 4
  - intent: Lost card
    minConfidence: 0.7
    queue: fraud-desk
    priority: 10
  # line 5
  - key: lost-card-2
    intent: lost card
    queue: skill-4002
    priority: 20
  # line 6
  - key: catch-all
    when: []
    queue: fraud-desk
    priority: 30
"""
    head, _, manifest = program.out.partition("\n")
    assert head.startswith("# Imported from s.txt, ")
    assert expected == manifest
    assert "warning: if Studio has caseSensitive: false, the snippet sends intent " in program.err
    assert "rules do not have what the snippet assigns to prio: line 7" in program.err
    assert "Tried: the snippet itself, on " in program.err


def test_an_import_reuses_aliases_and_free_names(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """An alias of the skill is used; names of RuleSets and rules that exist are not; `-` reads stdin."""
    write("rules.yaml", RULES.replace("name: cards", "name: stdin"))
    write("queues.yaml", QUEUES)
    monkeypatch.setattr(sys, "stdin", io.StringIO('IF intent = "lost" { skill = 4002 } ELSE { skill = 4009 }'))
    code, form = program.json("studio", "import", "-", "--into", "manifests/new.yaml")
    assert (0, "prod", 2, True) == (code, form["environment"], form["rules"], form["proven"])
    text = Path("manifests/new.yaml").read_text("utf-8")
    assert form["files"] == {"manifests/new.yaml": text}
    assert 'queues:\n  skill-4009: {prod: {id: "4009"}}\n' in text
    assert "name: queues-2" in text
    assert "name: stdin-2" in text
    assert '- intent: lost\n    queue: cards\n    priority: 10\n    name: "Cognigy Intent Route: stdin-2/lost"' in text
    assert 0 == program("validate")


def test_the_block_of_the_manifests_is_imported_as_the_same_rules(program: Program) -> None:
    """A block has the addresses, names and order of its rules, also without any comment line; ids are in comments."""
    write("rules.yaml", RULES)
    write("queues.yaml", QUEUES)
    assert 0 == program("studio", "build")
    block = program.out
    assert block.startswith("// cxroute:begin acme-routing/main\n")
    Path("block.txt").write_text(block, encoding="utf-8")
    bare = "\n".join(line for line in block.split("\n") if not line.lstrip().startswith("//"))
    Path("bare.txt").write_text(bare, encoding="utf-8")
    for name in ("rules", "queues"):
        Path(f"manifests/{name}.yaml").unlink()
    for name in ("block.txt", "bare.txt"):
        code, form = program.json("studio", "import", name)
        assert (0, 2, True) == (code, form["rules"], form["proven"])
        (text,) = form["files"].values()
        assert "name: cards\nrules:" in text
        assert "- intent: lost\n" in text
        assert "- key: rest\n" in text
        queue = "cards" if name == "block.txt" else "skill-4002"
        assert f"{{queue: {queue}, weight: 80}}" in text


def test_an_environment_of_highest_first_gets_descending_priorities(cxroute: Program) -> None:
    """The order stays; rules that are switched off stay so; every difference is one that the block has, too."""
    write("prod.yaml", ENVIRONMENT.replace("  area: na1", "  area: na1\n  evaluation: highest-first"))
    text = (
        'SELECT { CASE ( intent = "a" ) & ( confidence >= 0.7 ) { skill = 4001 } CASE intent = "a" { skill = 4002 } }'
    )
    Path("s.txt").write_text(text, encoding="utf-8")
    assert 0 == cxroute("studio", "import", "s.txt", "--into", "manifests/")
    assert "check this case" not in cxroute.err
    path = Path("manifests/s-txt.yaml")
    manifest = path.read_text("utf-8")
    assert manifest.index("minConfidence: 0.7\n    queue: skill-4001\n    priority: 20") < manifest.index(
        "priority: 10"
    )
    path.write_text(manifest.replace("priority: 10", "priority: 10\n    enabled: false"), encoding="utf-8")
    assert 0 == cxroute("studio", "build", "--out", "block.txt")
    path.unlink()
    code, form = cxroute.json("studio", "import", "block.txt")
    assert (0, 2, True) == (code, form["rules"], form["proven"])
    assert "priority: 10\n    enabled: false\n" in form["files"]["manifests/exported.yaml"]


@pytest.mark.parametrize("form", ["json", "saved", "xml", "crlf"])
def test_the_snippet_of_a_script_is_found(program: Program, form: str) -> None:
    """In the JSON of a script, in that of a save, and in XML; other texts, also such as begin with If, do not count."""
    snippet = 'IF ( intent = "lost" )\n{ skill = 4001 }\nELSE { skill = 4002 }'
    values = {
        "2": {"0": {"name": "Text", "value": "If you are lost, say so"}},
        "3": {"0": {"name": "x", "value": snippet}},
    }
    script: dict[str, Any] = {"header": {}, "actions": {}, "properties": values, "branches": {}}
    inner = snippet.replace("&", "&amp;").replace("<", "&lt;")
    parts = f"<ActionStruct><Parameters><string>If you</string><string>{inner}</string></Parameters></ActionStruct>"
    texts = {
        "json": json.dumps(script),
        "saved": json.dumps({"scriptContent": json.dumps(script)}),
        "xml": f"<ScriptContainer><Actions>{parts}</Actions></ScriptContainer>",
        "crlf": snippet.replace("\n", "\r\n"),
    }
    Path("script").write_bytes(texts[form].encode())
    code, document = program.json("studio", "import", "script")
    assert (0, 2) == (code, document["rules"])


def test_a_script_with_two_snippets_of_decisions_names_both(program: Program) -> None:
    """The message has the first line of each decision, and what to do."""
    values = {str(at): {"0": {"name": "x", "value": f'IF intent = "i{at}" {{ skill = 4001 }}'}} for at in (1, 2)}
    Path("script").write_text(json.dumps({"properties": values}), encoding="utf-8")
    assert 1 == program("studio", "import", "script")
    assert "the script has 2 snippets with decisions: copy the one to import to a file of its own" in program.err
    assert '\n  IF intent = "i1"' in program.err
    assert '\n  IF intent = "i2"' in program.err


def test_what_rules_cannot_say_is_listed_with_lines_and_nothing_is_written(program: Program) -> None:
    """Each line is named with its text, at once; with --format json in the one document."""
    text = 'SELECT {\nCASE intent.endswith("x") { skill = 4001 }\nCASE intent = "a" { skill = f(1) }\n}\nGOSUB other'
    Path("s.txt").write_text(text, encoding="utf-8")
    assert 1 == program("studio", "import", "s.txt", "--into", "manifests/")
    for line, part in ((2, 'CASE intent.endswith("x")'), (3, "skill = f(1)"), (5, "GOSUB other")):
        assert f"\n  line {line}: rules cannot say " in program.err
        assert part in program.err
    assert ["prod.yaml"] == [path.name for path in Path("manifests").iterdir()]
    code, document = program.json("studio", "import", "s.txt")
    assert (1, "Cxroute") == (code, document["error"]["kind"])


def test_hostile_input_ends_in_one_clear_sentence(program: Program) -> None:
    """No input makes a traceback or puts a control character on the terminal; the exit code is that of an error."""
    deep = "IF a = 1 { " * 5_000
    wide = "CASE " + " & ".join(f'( ( a{at} = "x" ) | ( b{at} = "y" ) )' for at in range(40)) + " { skill = 4001 }"
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
    texts += ["// cxroute:begin a/b\nIF x", '{"scriptContent": ' * 2_000, f'IF a = "b" {{ {names} = 4001 }}']
    texts += ['IF a = "b" { skill = ' + "9" * 5_000 + " }", "IF a > " + "9" * 5_000 + " { skill = 4001 }"]
    for text in texts:
        Path("s.txt").write_text(text, encoding="utf-8")
        code = program("studio", "import", "s.txt")
        assert code == 1, (text[:80], program.err)
        assert program.err.startswith("error: "), text[:80]
        assert "bug" not in program.err, (text[:80], program.err)
        assert not CONTROL_CHARACTERS.search(program.err.replace("\n", "")), text[:80]
    Path("s.txt").write_bytes(b"IF \xff")
    assert 64 == program("studio", "import", "s.txt")
    assert 64 == program("studio", "import", "missing.txt")


def test_queues_without_a_skill_id_are_listed_in_one_error(program: Program) -> None:
    """`build` needs no network; it names every queue that has no id, and where to write it. The exit code is 3."""
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
def test_an_environment_of_the_rules_api_has_no_block(program: Program, task: str) -> None:
    """The message names the setting that is missing; the exit code is 64."""
    assert 64 == program("studio", task, "-e", "sandbox")
    assert "the rules of Environment sandbox are not in a Studio script: set `api.rules: studio`" in program.err


def test_the_probe_finds_each_dialect(program: Program) -> None:
    """The printed snippet, run in a dialect, has a last line from which `--result` prints exactly its facts."""
    assert 0 == program("studio", "probe", "-m", "nowhere")
    assert probe_snippet() == program.out
    for dialect in possible_dialects({}):
        lines: list[str] = []
        run_snippet(parse_snippet(program.out), {}, dialect, traces=lines)
        names = ("caseSensitive", "trimsBlanks", "digitTextIsNumber", "mixedIsZero")
        expected = "".join(f"  {name}: {str(value).lower()}\n" for name, value in zip(names, dialect, strict=True))
        assert 0 == Program.__call__(program, "studio", "probe", "--result", lines[-1])
        assert f"dialect:\n{expected}" == program.out
        assert 0 == program("studio", "probe")
    assert 64 == program("studio", "probe", "--result", "nothing")
    assert "copy its last line" in program.err


def test_the_recipe_presets_every_variable_of_the_rules(program: Program) -> None:
    """It names the marker lines and each variable that the block reads."""
    write("rules.yaml", RULES.replace("when: []", "when: [{attribute: tier, equals: gold}]"))
    assert 0 == program("studio", "recipe")
    for line in ("// cxroute:begin acme-routing/main", 'ASSIGN intent = ""', 'ASSIGN tier = ""', "{cxr_skill}"):
        assert line in program.out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("studio", "the following arguments are required: task"),
        ("studio import", "studio import needs FILE"),
        ("studio build s.txt", "FILE is an option of `studio import`, not of `studio build`"),
        ("studio import s.txt --out x", "--out is an option of `studio build`, not of `studio import`"),
        ("studio recipe --result x", "--result is an option of `studio probe`, not of `studio recipe`"),
        ("studio import s.txt --into old.txt", "must end in .yaml"),
    ],
)
def test_an_option_of_another_task_is_a_usage_error(program: Program, line: str, said: str) -> None:
    """The exit code is 64, and the message says to which task the option belongs."""
    assert 64 == program(*line.split())
    assert said in program.err
