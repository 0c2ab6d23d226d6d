"""Messages to a webhook: their text, their escaping, and their delivery."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.apply.progress import ApplyReport
from reconciler.core.behaviour.diff.difference import BehaviourChange
from reconciler.core.behaviour.space.clauses import Clause
from reconciler.core.errors import CxrouteError, RefusedError, UsageError
from reconciler.core.model.change import Applied, Failed, UnknownOutcome
from reconciler.core.model.finding import Finding
from reconciler.core.plan.drift import find_drift
from reconciler.core.plan.impact import NO_IMPACT, Impact
from reconciler.core.plan.stages import GuardResult, Plan
from reconciler.features.watch.cycle import (
    MAX_WAITING,
    CycleResult,
    Message,
    NotificationKind,
)
from reconciler.features.watch.notify import Webhook, webhook_host
from reconciler.features.watch.slack import slack_code, slack_message
from tests.support import canary_secrets as canary
from tests.support.builders import NOW, intent_is
from tests.support.cases import each_case
from tests.support.hostile_names import HOSTILE_NAMES, MARKDOWN_NAMES
from tests.support.plain_http import PLAIN
from tests.support.plans import empty_plan, hostile_plan, plan_of_everything
from tests.support.program import Program
from tests.support.watch_process import (
    WatchSetup,
    WebhookServer,
    watch_setup,
    webhook_server,
)

MEANING = re.compile(r"[<>&*_~`@#\[\]]|://|\n")
"""Markup, a mention, a link, an entity or a line break for a reader of the message."""


def text(kind: NotificationKind, one: CycleResult, environment: str = "prod") -> str:
    form = slack_message(kind, one, environment, f"cxroute plan -e {environment}")
    assert ["text"] == list(form)
    return str(form["text"])


def reported(plan: Plan, *outcomes: Any, **said: Any) -> CycleResult:
    return CycleResult(
        started_at=NOW,
        plan=plan,
        report=ApplyReport(
            outcomes=tuple(outcomes),
            **{"converged": False, "remaining": empty_plan(), **said},
        ),
    )


def bare(said: str) -> str:
    """Return a message without its code spans, list points and bold headings of cxroute."""
    without = re.sub(r"`[^`\n]+`", "", said)
    return re.sub(r"^(• |\*[^*\n]*\*)", "", without, flags=re.MULTILINE)


def test_the_message_about_drift() -> None:
    """The counts of the differences, the affected conversations, each rule, and the next
    command.
    """
    plan = plan_of_everything()
    message = text(
        "drift", CycleResult(started_at=NOW, plan=plan, drift=find_drift(plan))
    )
    assert message.splitlines()[0] == (
        "*2 rules changed in CXone, 1 rule missing in CXone, 1 rule in the way, 4 changes not "
        "applied,"
        " 1 rule in conflict in `prod`*"
    ), message
    assert "• `partner`: not managed, and in the way" in message
    assert "• update `cards/off`: changed in CXone" in message
    assert message.splitlines()[1].startswith(
        "Conversations do not go where the manifests say: `"
    )
    assert message.endswith("\nMore: `cxroute plan -e prod`")


def test_the_message_about_an_apply() -> None:
    """The number of changes, and of those that corrected edits in CXone."""
    plan = plan_of_everything()
    message = text(
        "applied", reported(plan, Applied(plan.changes[0], 1, "7"), converged=True)
    )
    assert message.startswith(
        "*1 change applied in `prod`* (2 rules had been changed in CXone). Read again: no "
        "differences.\n"
    )


def test_the_message_about_an_apply_names_person_run_and_conversations() -> None:
    """In the head and the next line; a failed run has them, too."""
    plan = plan_of_everything()
    ran = {"who": "anna", "run_id": "2026-11-25T120000-prod-0123"}
    message = text(
        "applied",
        reported(plan, Applied(plan.changes[0], 1, "7"), converged=True, **ran),
    ).splitlines()
    assert " by `anna`, run `2026-11-25T120000-prod-0123`. Read again" in message[0]
    assert re.match(
        r"`.+ goes from .+ \(9\.0 % of callers\); \d+ more moves\.`$", message[1]
    )
    message = text(
        "failed", reported(plan, Failed(plan.changes[0], 1, "422: no"), **ran)
    ).splitlines()
    assert message[0].endswith(" by `anna`, run `2026-11-25T120000-prod-0123`")


def test_the_message_about_a_partial_apply() -> None:
    """Failures come first; an interruption is named."""
    plan = plan_of_everything()
    first, second, third = plan.changes[:3]
    outcomes = (
        Applied(first, 1, "7"),
        Failed(second, 1, "422: no"),
        UnknownOutcome(third, 1, "timeout"),
    )
    message = text(
        "failed", reported(plan, *outcomes, error="the run stopped early")
    ).splitlines()
    assert "*Partly failed in `prod`: 1 of 3 changes applied*" == message[0]
    assert "• `the run stopped early`" == message[1]
    assert [
        message[2].startswith("• failed: "),
        message[3].startswith("• unknown: "),
    ] == [
        True,
        True,
    ]
    assert "*Interrupted in `prod`:" in text(
        "failed", reported(plan, *outcomes, interrupted=True)
    )
    assert "*Failed in `prod`: 0 of 1 change applied*" in text(
        "failed", reported(plan, outcomes[1])
    )


def test_the_message_about_a_refusal_contains_each_reason() -> None:
    """And that nothing was written."""
    guards = (
        GuardResult(
            name="freeze", value=1, limit=0, ok=False, message="prod is frozen now"
        ),
    )
    message = text(
        "refused",
        CycleResult(
            started_at=NOW,
            plan=replace(plan_of_everything(), guards=guards),
            may_write=True,
        ),
    )
    assert "; not fixed: nothing was written*" in message
    assert "• refused: `prod is frozen now`" in message


def test_a_refusal_names_route_tests_and_concurrent_changes() -> None:
    """Failing route tests, and the reason why a started run was refused."""
    failed = Finding(
        code="CXR220", severity="error", message="goes to General, not to Cards"
    )
    item = CycleResult(
        started_at=NOW,
        plan=replace(plan_of_everything(), failed_tests=(failed,)),
        may_write=True,
        error=RefusedError("it changed"),
    )
    message = text("refused", item)
    assert "• route test: `goes to General, not to Cards`" in message
    assert "• refused: `it changed`" in message


def test_the_message_about_a_failure_before_a_write_has_its_reason() -> None:
    """Nothing was written, so there is no list."""
    assert (
        "*Failed in `prod`: nothing was written*\n• `no route`\nMore: `cxroute plan -e prod`"
        == text("failed", CycleResult(started_at=NOW, error=CxrouteError("no route")))
    )


@pytest.mark.parametrize("kind", ["drift", "refused", "applied"])
def test_a_round_without_a_plan_has_a_short_message(kind: NotificationKind) -> None:
    """The round failed, and the message contains the next command only."""
    assert "More: `cxroute plan -e prod`" == text(kind, CycleResult(started_at=NOW))


def test_the_end_of_failures_says_whether_there_are_differences() -> None:
    """The tenant can be read again, and matches the manifests or not."""
    assert text("recovered", CycleResult(started_at=NOW, plan=empty_plan())).startswith(
        "*Recovered: `prod` matches the manifests.*\n"
    )
    assert text(
        "recovered", CycleResult(started_at=NOW, plan=plan_of_everything())
    ).startswith("*Recovered: `prod` can be read again.*\n")


def test_the_effect_on_conversations_is_given_only_if_it_is_known() -> None:
    """For drift and for applied changes; with --only, other conversations are not mentioned."""
    plan = plan_of_everything()
    done = [Applied(change, 1, "7") for change in plan.changes]
    assert "more moves." in text("applied", reported(plan, *done, converged=True))
    still = replace(plan, impact=NO_IMPACT)
    assert "No conversation goes elsewhere (proven)." in text(
        "applied", reported(still, *done, converged=True)
    )
    unknown = replace(
        plan,
        impact=Impact(
            BehaviourChange(regions=(), undecided=((Clause(intent_is("x")),),))
        ),
    )
    assert "onversation" not in text(
        "applied", reported(unknown, *done, converged=True)
    )
    drift = find_drift(empty_plan())
    proven = "Conversations go where the manifests say (proven)."
    assert proven in text(
        "drift", CycleResult(started_at=NOW, plan=empty_plan(), drift=drift)
    )
    bounded = replace(
        drift,
        unaccepted_impact=Impact(unknown.behaviour),
    )
    assert "onversations" not in text(
        "drift", CycleResult(started_at=NOW, plan=empty_plan(), drift=bounded)
    )
    assert "onversations" not in text(
        "drift", CycleResult(started_at=NOW, plan=empty_plan())
    )


def test_long_lists_are_truncated() -> None:
    """Ten failures, and the number of the others."""
    plan = plan_of_everything()
    outcomes = [Failed(change, 1, "422: no") for change in plan.changes] * 30
    message = text("failed", reported(plan, *outcomes))
    assert re.search(r"• and \d+ more\n", message)
    assert len(message) < 3000


@pytest.mark.fast_cases(8)
@pytest.mark.parametrize(
    "name",
    [
        *HOSTILE_NAMES.values(),
        *MARKDOWN_NAMES.values(),
        "<!channel> <!here> <@U1> @all",
    ],
)
def test_names_from_outside_are_escaped(name: str) -> None:
    """No mention, link, format or line, in any kind of message, for Slack and compatible
    services.
    """
    plan = hostile_plan(name)
    outcomes = [Failed(change, 1, f"422: {name}") for change in plan.changes]
    rounds: list[tuple[NotificationKind, CycleResult]] = [
        ("drift", CycleResult(started_at=NOW, plan=plan, drift=find_drift(plan))),
        (
            "refused",
            CycleResult(
                started_at=NOW,
                plan=plan,
                may_write=True,
                error=CxrouteError(name),
                drift=find_drift(plan),
            ),
        ),
        ("failed", CycleResult(started_at=NOW, error=CxrouteError(name))),
        ("failed", reported(plan, *outcomes, error=name)),
        (
            "applied",
            reported(
                plan,
                *[Applied(change, 1, name) for change in plan.changes],
                converged=True,
            ),
        ),
        ("recovered", CycleResult(started_at=NOW, plan=empty_plan())),
    ]
    for kind, item in rounds:
        message = text(kind, item)
        assert not MEANING.search(bare(message).replace("\n", "")), message
        assert "<" not in message
        assert message.split("\n") == message.splitlines()


@pytest.mark.slow
@given(st.text(max_size=400))
def test_a_code_span_cannot_be_left(name: str) -> None:
    """Its content has no backtick, bracket or line break."""
    inner = slack_code(name)[1:-1]
    assert inner.strip()
    assert not set("`<>\n\r") & set(inner)
    assert "&" not in re.sub("&(amp|lt|gt);", "", inner)
    assert 1 == len(inner.splitlines())


@each_case(
    "url",
    [
        "",
        "hooks.example",
        "http://hooks.example/x",
        "ftp://hooks.example/x",
        "https://user:word@hooks.example/x",
        "https://hooks.example\\@evil.example/",
        "https:///x",
        "https://hooks.example/a b",
        "https://höoks.example/",
        "https://hooks.example:x/",
        "http://127.0.0.1.evil.example/",
        "http://127.evil.example/",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
        "javascript:alert(1)",
    ],
)
def test_an_address_is_https_or_this_machine(url: str) -> None:
    """Not an URL that two parsers read as two hosts; the error names the source and does not quote
    the URL.
    """
    with pytest.raises(UsageError) as refused:
        webhook_host(url, "HOOK")
    assert "HOOK is not a URL that begins with https://" in str(refused.value)
    assert not url or url not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://hooks.example/T0/B0?x=1", "hooks.example"),
        ("http://127.0.0.1:80/", "127.0.0.1"),
        ("http://[::1]:8/x", "::1"),
    ],
)
def test_a_valid_address(url: str, host: str) -> None:
    """Only its host is shown."""
    assert host == webhook_host(url, "HOOK")


@pytest.fixture
def hook() -> Iterator[WebhookServer]:
    with webhook_server() as item:
        yield item


def sent(hook: WebhookServer, url: str = "") -> str:
    """Send one message; return the error."""

    async def send() -> str:
        async with httpx.AsyncClient(trust_env=False, timeout=5, verify=PLAIN) as http:
            return await Webhook(http, url or f"{hook.url}/T0/secret-path").send(
                {"text": "x"}
            )

    return asyncio.run(send())


@pytest.mark.parametrize("refusal", [302, 307, 400, 404, 429, 500, 503])
def test_a_refused_message_is_not_repeated(hook: WebhookServer, refusal: int) -> None:
    """One request; a redirect is not followed; the path is not shown."""
    assert "" == sent(hook)
    hook.refusals.append(refusal)
    assert f"127.0.0.1: the response has status {refusal}" == sent(hook)
    assert 2 == len(hook.asked)
    assert not any("elsewhere" in item for item in hook.asked)


def test_an_unreachable_webhook_is_an_error_text(hook: WebhookServer) -> None:
    """No exception leaves the function."""
    assert "127.0.0.1: " in sent(hook, "http://127.0.0.1:9/secret-path")
    assert "secret-path" not in sent(hook, "http://127.0.0.1:9/secret-path")


def test_undelivered_messages_are_sent_first_the_next_time(hook: WebhookServer) -> None:
    """In order; beyond twenty, the oldest are dropped."""
    waiting: deque[Message] = deque(
        ({"text": str(number)} for number in range(25)), MAX_WAITING
    )

    async def deliver() -> tuple[int, str]:
        async with httpx.AsyncClient(trust_env=False, timeout=5, verify=PLAIN) as http:
            return await Webhook(http, hook.url).send_all(waiting)

    hook.refusals += [400]
    assert (0, "127.0.0.1: the response has status 400") == asyncio.run(deliver())
    assert (20, "") == asyncio.run(deliver())
    assert [str(number) for number in range(5, 25)] == hook.texts
    assert (0, "") == asyncio.run(deliver())


@pytest.fixture
def stage(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WatchSetup]:
    """A tenant in this process, and manifests that are not applied yet."""
    monkeypatch.setenv("CXONE_CLIENT_ID", canary.CLIENT)
    monkeypatch.delenv("CXROUTE_PROXY")
    with watch_setup(elsewhere) as here:
        here.serve_tenant()
        here.write("billing")
        yield here


def test_only_an_apply_with_changes_sends_a_message(
    stage: WatchSetup, cxroute: Program
) -> None:
    """`plan`, `drift`, `validate`, and an apply without changes or one that is refused, do not."""
    for command in (
        ("plan",),
        ("drift",),
        ("validate",),
        ("plan", "--live", "nowhere.json"),
    ):
        cxroute(*command, "-e", "prod")
    assert 4 == cxroute("apply", "-e", "prod", "--no-input")
    assert [] == stage.hook.asked
    assert 0 == cxroute("apply", "-e", "prod", "--yes")
    assert 0 == cxroute("apply", "-e", "prod", "--yes")
    (head,) = stage.hook.heads
    assert re.fullmatch(
        r"\*1 change applied in `prod`\* by `[^`]+`, run `[^`]+`. Read again: no differences.",
        head,
    )
    (run,) = re.findall("run `([^`]+)`", head)
    assert stage.hook.texts[0].endswith(f"\nMore: `cxroute history -e prod {run}`")
    stage.write(
        "billing",
        "lost",
        more="freeze: [{start: 2020-01-01, end: 2100-01-01, timezone: Europe/Berlin}]",
    )
    assert 4 == cxroute("apply", "-e", "prod", "--yes")
    assert 1 == len(stage.hook.asked)


def test_apply_notifies_a_failure_of_the_tenant(
    stage: WatchSetup, cxroute: Program
) -> None:
    """Exit 1 as before; the message has the error's kind as on stderr."""
    path = stage.folder / "manifests" / "prod.yaml"
    path.write_text(
        path.read_text("utf-8").replace(
            "requestsPerSecond", "rulesPath: /nowhere, requestsPerSecond"
        )
    )
    assert 1 == cxroute("apply", "-e", "prod", "--yes")
    assert ["*Failed in `prod`: nothing was written*"] == stage.hook.heads
    assert "404" in stage.hook.texts[0]


def test_a_failing_webhook_causes_only_a_warning(
    stage: WatchSetup, cxroute: Program
) -> None:
    """The exit code is that of apply; the address is not shown."""
    stage.hook.refusals += [404]
    assert 0 == cxroute("apply", "-e", "prod", "--yes")
    assert (
        "warning: no notification was sent: 127.0.0.1: the response has status 404"
        in cxroute.err
    )
    assert "/hook" not in cxroute.err + cxroute.out


def test_the_address_can_be_kept_out_of_the_manifest(
    stage: WatchSetup, cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a variable or a file; it is never shown, and a missing or invalid one is a warning."""
    path = stage.folder / "manifests" / "prod.yaml"
    path.write_text(
        re.sub("notify: .*", "notify: {urlEnv: MY_HOOK}", path.read_text("utf-8")),
        "utf-8",
    )
    assert 0 == cxroute("apply", "-e", "prod", "--yes")
    assert (
        "no notification was sent: no webhook address: set MY_HOOK, or MY_HOOK_FILE"
        in cxroute.err
    )
    monkeypatch.setenv("MY_HOOK", "https://hunter-2@hooks.example/")
    stage.write("billing", "lost")
    path.write_text(
        re.sub("notify: .*", "notify: {urlEnv: MY_HOOK}", path.read_text("utf-8")),
        "utf-8",
    )
    assert 0 == cxroute("apply", "-e", "prod", "--yes")
    assert (
        "no notification was sent: MY_HOOK is not a URL that begins with https://"
        in cxroute.err
    )
    assert "hunter-2" not in cxroute.err
    monkeypatch.setenv("MY_HOOK", f"{stage.hook.url}/services/T0123/kept-hidden")
    stage.write("billing", "lost", "fraud")
    path.write_text(
        re.sub("notify: .*", "notify: {urlEnv: MY_HOOK}", path.read_text("utf-8")),
        "utf-8",
    )
    assert 0 == cxroute("apply", "-e", "prod", "--yes")
    assert ["/services/T0123/kept-hidden application/json"] == stage.hook.asked
    assert "kept-hidden" not in cxroute.err + cxroute.out


@pytest.mark.parametrize(
    ("more", "environment", "said"),
    [
        (
            "tenant: acme",
            "prod",
            "127.0.0.1 is this machine, which is notified of tenants on this machine only",
        ),
        ("", "sandbox", "the sandbox is simulated, so hooks.example is not notified"),
    ],
)
def test_a_manifest_cannot_contact_a_service_of_this_machine(
    stage: WatchSetup,
    cxroute: Program,
    monkeypatch: pytest.MonkeyPatch,
    more: str,
    environment: str,
    said: str,
) -> None:
    """An apply to a real tenant does not contact it; the sandbox contacts only this machine."""
    text = f"""apiVersion: routing/v1
kind: Environment
name: {environment}
owner: acme
{more}
notify: {{url: "{"https://hooks.example/x" if environment == "sandbox" else stage.hook.url}"}}
"""
    (stage.folder / "manifests" / "prod.yaml").write_text(text, "utf-8")
    monkeypatch.setenv("CXROUTE_PROXY", "http://127.0.0.1:9")
    assert (0 if environment == "sandbox" else 1) == cxroute(
        "apply", "-e", environment, "--yes"
    )
    assert said in cxroute.err
    assert [] == stage.hook.asked


def test_exactly_one_address(cxroute: Program, room: Path) -> None:
    """`url` and `urlEnv` together are an error, and so is neither; no value is quoted."""
    for notify in ("{}", '{url: "https://hooks.example/hunter-2", urlEnv: HUNTER}'):
        (room / "e.yaml").write_text(
            f"apiVersion: routing/v1\nkind: Environment\nname: prod\nowner: a\ntenant: a\nnotify: "
            f"{notify}\n",
            "utf-8",
        )
        assert 3 == cxroute("validate")
        assert "exactly one of url, urlEnv is required" in cxroute.out + cxroute.err
        assert "hunter-2" not in cxroute.out + cxroute.err
