"""`cxroute simulate`: a simulated CXone over HTTP, on loopback, that speaks as an Environment says."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from secrets import randbelow
from typing import Any, Final, NamedTuple

from reconciler.cli.arguments import missing_extra
from reconciler.cli.environments.choose import choose_environment, expected_queues
from reconciler.cli.output import Output
from reconciler.cli.sandbox import add_queues, custom_fields, open_state
from reconciler.cxone.paging import choose_queue_list
from reconciler.errors import CxrouteError, ManifestError, UsageError
from reconciler.manifest.kinds import profile as profiles
from reconciler.manifest.kinds.environment import SANDBOX
from reconciler.manifest.load import load_manifests
from reconciler.model.rule import Queue
from reconciler.simulator import state as tenants
from reconciler.simulator.app import Simulator, serve
from reconciler.simulator.faults import __doc__ as faults_help
from reconciler.simulator.faults.injector import FaultInjector
from reconciler.simulator.faults.spec import FaultSpecError
from reconciler.simulator.profile import ServedList, TenantProfile
from reconciler.simulator.settings import PROFILES, SimulatorSettings
from reconciler.text.hosts import is_loopback

_FIRST_NUMBER: Final = 4001


class SimulatedTenant(NamedTuple):
    """The API form and the queues of a simulated tenant."""

    switches: dict[str, Any]
    queues: list[Queue]

    def missing_queues(self, existing: Iterable[Mapping[str, Any]]) -> list[Queue]:
        """Return the queues whose names do not exist yet; generated numbers are not compared."""
        names = {queue["name"] for queue in existing}
        return [queue for queue in self.queues if queue.name not in names]


def simulate_environment(name: str, directory: Path) -> SimulatedTenant:
    """Return the simulated tenant of an Environment. Raises ManifestError and UsageError."""
    manifests = load_manifests(directory)
    environment = choose_environment(manifests, name)
    api, profile = environment.api, manifests.profile(environment)
    beside_rules = (api.queues_path if api.queues == "rules-api" else None) or profile.queues.path
    switches: dict[str, Any] = {
        "profile": tenant_profile(profile, api.rules_path or profile.rules.path, beside_rules),
        "custom_fields": custom_fields(environment),
    }
    if profile.rules.ids == "number":
        switches["new_id"] = lambda: str(randbelow(10**12))
    queues = list(expected_queues(manifests, environment.name))
    if choose_queue_list(api, profile.queues).ids == "number":
        queues = [
            queue if queue.id.isdecimal() else Queue(str(number), queue.name)
            for number, queue in enumerate(queues, _FIRST_NUMBER)
        ]
    return SimulatedTenant(switches, queues)


def tenant_profile(profile: profiles.Profile, rules_path: str, queues_path: str) -> TenantProfile:
    """Return the simulator's profile with its lists at these paths."""
    rules, queues, errors = profile.rules, profile.queues, profile.errors
    types = {"attribute": profile.condition.attribute, "queue": profile.target.queue}
    of_queues = {"name": queues.name, **({"isActive": queues.active} if queues.active else {})}
    return TenantProfile(
        rules=_served_list(rules, rules_path, profile.rule.tenant_names()),
        queues=_served_list(queues, queues_path, of_queues),
        single_member=rules.single,
        condition=profile.condition.tenant_names(),
        target=profile.target.tenant_names(),
        words={**types, **profiles.operator_names(profile.operators)},
        queue_numbers=profile.target.queue_ids == "number",
        update=profile.update,
        message_member=errors.messages[0] if errors.messages else "",
        message_header=errors.header or "",
        refused_member=errors.refused[0] if errors.refused else "",
    )


def _served_list(listed: profiles.ListSettings, path: str, names: Mapping[str, str]) -> ServedList:
    names_by_field = {"id": listed.id, **names}
    renamed = {field: tenant_name for field, tenant_name in names_by_field.items() if field != tenant_name}
    total, numbers = listed.paging.total or "", listed.ids == "number"
    style, no_content = listed.paging.style, listed.no_content
    served = ServedList(
        path=path,
        member=listed.list,
        style=style,
        position="",
        first=0,
        size="",
        total=total,
        next="",
        no_content=no_content,
        names=renamed,
        numbers=numbers,
    )
    match listed.paging:
        case profiles.PageNumber() as paging:
            return replace(served, position=paging.page, first=paging.first, size=paging.size, next=paging.next)
        case profiles.SkipTop() as paging:
            return replace(served, position=paging.skip, size=paging.top, next=paging.next)
        case profiles.NextLink() as paging:
            return replace(served, position="cursor", size=paging.size or "", next=paging.next)
        case profiles.ScrollToken() as paging:
            return replace(served, position=paging.parameter, size=paging.size or "", next=paging.token)
        case profiles.AllAtOnce():
            return served


_LAST_PORT = 65_535


def options(parser: argparse.ArgumentParser) -> None:
    """Add simulate's options."""
    add = parser.add_argument
    add("--tenant", choices=("empty", "bank"), default="empty", help="without rules, or a bank's")
    add("--as", dest="speak", metavar="ENV", help="speak as the Environment ENV says: profile, queues, custom fields")
    add("--host", default="127.0.0.1", help="a loopback address (default: 127.0.0.1)")
    add("--port", type=int, default=8099, help="0 takes a free one (default: 8099)")
    add("--state", metavar="FILE", help="keep everything in this file, so that it survives a kill")
    add("--rate", type=float, metavar="N", help="answer 429 above so many requests a second")
    add("--latency-ms", type=float, default=0.0, metavar="MS", help="wait so long before each answer")
    add("--faults", metavar="SPEC", default="", help="inject faults, as said below")
    add("--seed", type=int, default=0, help="makes random faults the same again (default: 0)")
    parser.epilog = (
        "It has every queue that the manifests (-m) name, and accepts any client id and secret and any access key, or\n"
        "only those in $CXONE_CLIENT_ID and $CXONE_CLIENT_SECRET, and in $CXONE_ACCESS_KEY_ID and\n"
        "$CXONE_ACCESS_KEY_SECRET, where these are set.\n\n"
        f"{faults_help}"
    )


def run(options: argparse.Namespace, output: Output) -> int:
    """Serve until SIGINT or SIGTERM."""
    check(options)
    start = tenants.bank_tenant() if options.tenant == "bank" else tenants.TenantState()
    try:
        faults = FaultInjector(options.faults, options.seed) if options.faults else None
    except FaultSpecError as error:
        raise UsageError(f"--faults: {error}") from error
    with open_state(Path(options.state), start) if options.state else nullcontext(start) as state:
        tenant = simulate_environment(options.speak, Path(options.manifests)) if options.speak else None
        add_queues(state, tenant.missing_queues(state.queues) if tenant else named_queues(Path(options.manifests)))
        app = Simulator(state, replace(settings(options), **(tenant.switches if tenant else {})), faults)
        try:
            serve(app, options.host, options.port, lambda url: print_address(url, output))
        except ImportError as error:
            raise missing_extra("`cxroute simulate`") from error
        except OSError as error:
            raise CxrouteError(f"cannot listen on {options.host}:{options.port}: {error.strerror}") from error
    return 0


def print_address(url: str, output: Output) -> None:
    """Print the address and flush: the starting process may wait for this line."""
    output.result(
        f"Simulated CXone on {url}   (stop it with Ctrl-C)\n"
        f"In an Environment: api: {{baseUrl: '{url}'}}\n"
        f"With an access key: api: {{auth: access-key, issuer: '{url}'}}\n"
    )
    output.flush()


def check(options: argparse.Namespace) -> None:
    """Raise UsageError for values out of range, and for an address that is not loopback."""
    if not 0 <= options.port <= _LAST_PORT:
        raise UsageError(f"--port {options.port}: there are ports 0 to {_LAST_PORT}")
    if options.latency_ms < 0 or (options.rate is not None and options.rate <= 0):
        raise UsageError("--latency-ms cannot be below 0, and --rate must be above it")
    if not is_loopback(options.host):
        raise UsageError(f"--host {options.host}: the simulator listens on loopback alone, such as 127.0.0.1")


def settings(options: argparse.Namespace) -> SimulatorSettings:
    """Return how the server behaves: it refuses a name twice and has ETags, as most tenants are thought to."""
    clients = _pair("CXONE_CLIENT_ID", "CXONE_CLIENT_SECRET")
    keys = _pair("CXONE_ACCESS_KEY_ID", "CXONE_ACCESS_KEY_SECRET")
    latency = options.latency_ms / 1000
    return replace(PROFILES["A"], clients=clients, access_keys=keys, rate=options.rate, latency=latency)


def _pair(name: str, secret: str) -> dict[str, str] | None:
    key, word = os.environ.get(name), os.environ.get(secret)
    return {key: word} if key and word else None


def named_queues(directory: Path) -> list[Queue]:
    """Return every queue that the manifests count on in any environment; none where there are no valid manifests."""
    try:
        manifests = load_manifests(directory)
        names = {*manifests.environments, SANDBOX}
        return [queue for name in sorted(names) for queue in expected_queues(manifests, name)]
    except ManifestError:
        return []
