"""`cxroute studio recipe --decide`: how a script asks a decision service."""

from __future__ import annotations

from pathlib import Path

from tests.support.cases import each_case
from tests.support.program import Program, write
from tests.support.script_engine import RecipeScript, Variables, run_snippet

ENVIRONMENT = """\
apiVersion: routing/v1
kind: Environment
name: prod
owner: acme
tenant: acme
api:
  rules: served
  served: {url: "https://routing.acme.example", keyEnv: ACME_KEY%s}
attributes: {intent: intent, confidence: confidence}
"""
BLOCK = """\
---
apiVersion: routing/v1
kind: Environment
name: prod-block
owner: acme
tenant: acme
api:
  auth: access-key
  area: na1
  queues: acd-skills
  rules: studio
  studio: {script: 'Bot\\Hand-over'}
"""
RULES = """\
---
apiVersion: routing/v1
kind: RuleSet
name: cards
environments: [prod]
rules:
  - {key: gold, when: [{attribute: %s, equals: gold}], queue: Fraud Desk, priority: 10}
  - {intent: lost, minConfidence: 0.5, queue: Fraud Desk, priority: 20}
"""
RECIPE = ("studio", "recipe", "--decide", "-e", "prod")


def test_the_recipe_fills_each_attribute_of_the_rules(cxroute: Program) -> None:
    """By its variable; an empty one is left out. The bot's values are always sent."""
    settings = ", variables: {customerTier: tier}"
    write("m.yaml", ENVIRONMENT % settings + RULES % "customerTier")
    assert cxroute(*RECIPE) == 0, cxroute.err
    assert 'ASSIGN customPayload.intent = "{intent}"\n' in cxroute.out
    guarded = 'IF ( tier != "" )\n{\n  ASSIGN customPayload.tier = "{tier}"\n}\n'
    assert guarded in cxroute.out
    assert "customPayload.customerTier" not in cxroute.out
    assert "URL            https://routing.acme.example/exchange\n" in cxroute.out
    assert '"attributes": {"customerTier": VALUE},\n' in cxroute.out
    assert len(cxroute.out.splitlines()) <= 96
    assert max(map(len, cxroute.out.splitlines())) <= 110


def test_the_recipe_has_a_place_for_the_key_and_no_key(cxroute: Program) -> None:
    """KEY stands for it; the variable of the publisher's key is not named."""
    write("m.yaml", ENVIRONMENT % "" + RULES % "tier")
    assert cxroute(*RECIPE) == 0, cxroute.err
    assert "Authorization  Bearer KEY\n" in cxroute.out
    assert "ACME_KEY" not in cxroute.out


def test_the_skill_is_a_name_where_the_answer_is_one(cxroute: Program) -> None:
    """`served.as` decides what the default skill and the hand-over have."""
    write("m.yaml", ENVIRONMENT % "" + RULES % "tier")
    assert cxroute(*RECIPE) == 0, cxroute.err
    assert "by the number of the skill" in cxroute.out
    assert "queue.id of the answer" in cxroute.out
    write("m.yaml", ENVIRONMENT % ", as: name" + RULES % "tier")
    assert cxroute(*RECIPE) == 0, cxroute.err
    assert "by the name of the skill" in cxroute.out
    assert "queue.name of the answer" in cxroute.out


def test_a_block_of_the_same_tenant_may_stand_in(cxroute: Program) -> None:
    """The Error branch names its Environment."""
    write("m.yaml", ENVIRONMENT % "" + RULES % "tier" + BLOCK)
    assert cxroute(*RECIPE) == 0, cxroute.err
    assert "the block of prod-block" in cxroute.out
    write("m.yaml", ENVIRONMENT % "" + RULES % "tier")
    assert cxroute(*RECIPE) == 0, cxroute.err
    assert "prod-block" not in cxroute.out


def test_the_recipe_lists_the_variables_that_a_script_assigns(
    cxroute: Program,
) -> None:
    """Those of the bot, of the attributes, and the skill to compare with, before the first step."""
    write("m.yaml", ENVIRONMENT % ", variables: {intent: bot_intent}" + RULES % "tier")
    assert cxroute(*RECIPE) == 0, cxroute.err
    before = cxroute.out.partition("\nA. ")[0]
    assert "     bot_intent, confidence: from your bot's variables" in before
    assert "     tier: for the rules" in before
    assert "     script_skill: the number of the skill" in before


def test_the_recipe_compares_before_it_switches(cxroute: Program) -> None:
    """REQAGENT keeps its skill until the shadow was read."""
    write("m.yaml", ENVIRONMENT % "" + RULES % "tier")
    assert cxroute(*RECIPE) == 0, cxroute.err
    steps = cxroute.out.partition("\nA. ")[2]
    assert steps.index("First compare") < steps.index("Set Skill of REQAGENT")


@each_case(
    "payload, skill",
    [({"cxr_skill": "4001"}, "4001"), ({}, "7")],
)
def test_an_answer_in_one_object_gives_the_skill(
    cxroute: Program, payload: dict[str, str], skill: str
) -> None:
    """The SNIPPET of B.3 reads it too, with the member that A.4 names."""
    write("m.yaml", ENVIRONMENT % "" + RULES % "tier")
    assert cxroute(*RECIPE) == 0, cxroute.err
    assert "{cxr_answer.cxr_skill}" in cxroute.out
    snippet = RecipeScript(cxroute.out, "7", _unused).snippets[2]
    variables: Variables = {"cxr_skill": "7", "cxr_answer": payload}
    run_snippet(snippet.replace(".customPayload", ""), variables)
    assert variables["cxr_skill"] == skill


async def _unused(url: str, body: bytes) -> bytes:
    raise AssertionError(f"no call is made here: {url}, {len(body)} bytes")


@each_case(
    "attribute, settings, said",
    [
        ('"a-b"', "", 'the variable "a-b", which is not letters, digits and _'),
        ("script_skill", "", "which stands for another value"),
        ("cxr_tier", "", "which stands for another value"),
        ("Custompayload", "", "which stands for another value"),
        ("tier", ", variables: {tier: intent}", '"intent", which stands for another'),
    ],
)
def test_a_name_that_cannot_be_a_variable_is_an_error(
    cxroute: Program, attribute: str, settings: str, said: str
) -> None:
    """With the setting that gives it another one."""
    write("m.yaml", ENVIRONMENT % settings + RULES % attribute)
    assert cxroute(*RECIPE) == 64
    assert said in cxroute.err
    assert "`api.served.variables`" in cxroute.err


def test_rules_in_another_place_have_no_such_recipe(cxroute: Program) -> None:
    """The message names the setting; `--decide` is an option of `recipe` alone."""
    write("m.yaml", ENVIRONMENT % "" + RULES % "tier" + BLOCK)
    assert cxroute("studio", "recipe", "--decide", "-e", "prod-block") == 64
    assert "are not in a decision service: set `api.rules: served`" in cxroute.err
    assert cxroute("studio", "build", "--decide", "-e", "prod") == 64
    assert "--decide is an option of `studio recipe`" in cxroute.err
    assert cxroute("studio", "recipe", "-e", "prod") == 64
    assert "they are in a decision service: add --decide" in cxroute.err


def test_init_writes_environments_of_a_decision_service(cxroute: Program) -> None:
    """They are valid, can be planned in the sandbox offline, and have a recipe."""
    assert cxroute("init", "--decide") == 0, cxroute.err
    prod = Path("manifests/environments/prod.yaml")
    assert "rules: served" in prod.read_text("utf-8")
    text = prod.read_text("utf-8").replace("your-tenant.invalid", "acme.example")
    prod.write_text(text, "utf-8")
    assert cxroute("validate") == 0, cxroute.out + cxroute.err
    assert cxroute("plan", "-e", "sandbox", "--detailed-exitcode") == 2
    assert cxroute("apply", "-e", "sandbox", "--yes") == 0, cxroute.err
    assert cxroute("drift", "-e", "sandbox") == 0, cxroute.out
    assert cxroute(*RECIPE) == 0, cxroute.err
    assert "https://routing.acme.example/exchange" in cxroute.out


def test_generated_pipelines_hand_over_the_key(cxroute: Program) -> None:
    """Plans, applies and drift checks read the table with it."""
    assert cxroute("init", "--decide", "--github") == 0, cxroute.err
    for name in ("plan", "apply", "drift"):
        text = Path(f".github/workflows/routing-{name}.yml").read_text("utf-8")
        assert "CXROUTE_ADMIN_KEY: ${{ secrets.CXROUTE_ADMIN_KEY }}" in text, name
