"""`cxroute simulate`: a simulated CXone over HTTP, on loopback."""

import argparse
import asyncio
import os
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.cli.arguments import requires_extra
from reconciler.cli.command_line import choose_environment, expected_queues, utc_now
from reconciler.cli.files import text_of_variable
from reconciler.cli.options import CommonOptions
from reconciler.cli.output import Output
from reconciler.core.desired.desired import desire_offline
from reconciler.core.desired.queues import QueueError
from reconciler.core.errors import ManifestError, UsageError
from reconciler.core.manifest.kinds.environment import SANDBOX, Environment
from reconciler.core.manifest.kinds.profile import (
    DEFAULT_PROFILE,
    QUEUES_PATH,
    RULES_PATH,
    Profile,
)
from reconciler.core.manifest.load import Manifests, load_manifests
from reconciler.core.model.rule import Queue
from reconciler.core.target import target_of
from reconciler.core.text.hosts import LAST_PORT, is_loopback
from reconciler.core.text.redact import REDACTOR
from reconciler.features.practice.sandbox import (
    add_queues,
    custom_fields,
    open_state,
)
from reconciler.features.practice.simulator import state as tenants
from reconciler.features.practice.simulator.app import CONTACTS_PATH, Simulator
from reconciler.features.practice.simulator.faults import __doc__ as faults_help
from reconciler.features.practice.simulator.faults.injector import FaultInjector
from reconciler.features.practice.simulator.faults.spec import FaultSpecError
from reconciler.features.practice.simulator.script_engine import ContactScript
from reconciler.features.practice.simulator.settings import PROFILES, SimulatorSettings
from reconciler.targets.platform.paging import choose_queue_list


def simulate_environment(
    state: tenants.TenantState, name: str, directory: Path
) -> Environment:
    """Add the queues and the script of an Environment to the state, and return it."""
    manifests = load_manifests(directory, utc_now())
    environment = choose_environment(manifests, name)
    profile = manifests.profile(environment)
    _require_default_api(environment, profile)

    # by name, because ids are generated
    names = {queue["name"] for queue in state.queues}
    stated = _stated_queues(manifests, environment)
    missing = [queue for queue in stated if queue.name not in names]
    add_queues(state, missing, choose_queue_list(environment.api, profile.queues).ids)
    target_of(environment).prepare(environment, state)
    return environment


def _stated_queues(manifests: Manifests, environment: Environment) -> list[Queue]:
    """Return the queues that rules use, and those of Queues documents for the Environment."""
    _, resolver = desire_offline(manifests, environment)
    for alias in resolver.aliases:
        # an alias may have no queue in this environment
        with suppress(QueueError):
            resolver.resolve(alias)
    return list(resolver.queues_by_id.values())


def _contact_script(environment: Environment) -> ContactScript | None:
    """Return the script that asks the decision service of an Environment; None without one."""
    url = getattr(environment.api.target_settings, "url", "")
    if not url:
        return None
    keys = text_of_variable("CXROUTE_API_KEYS", UsageError) or ""
    key = keys.replace("\n", ",").split(",")[0].strip()
    REDACTOR.add(key)
    return ContactScript(url, key)


def _require_default_api(environment: Environment, profile: Profile) -> None:
    """Raise UsageError for an Environment whose rules or queues have other paths or names."""
    api = environment.api
    has_default_paths = api.rules_path in (None, RULES_PATH) and api.queues_path in (
        None,
        QUEUES_PATH,
    )
    if profile != DEFAULT_PROFILE or not has_default_paths:
        raise UsageError(
            f"--as {environment.name}: the simulator has the API of the default profile only."
            " Name an Environment without `profile`, `rulesPath` and `queuesPath`"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulateOptions(CommonOptions):
    """The options of `cxroute simulate`."""

    tenant: str
    speak: str | None
    host: str
    port: int
    state: str | None
    rate: float | None
    latency_ms: float
    faults: str
    seed: int


def options(parser: argparse.ArgumentParser) -> type[SimulateOptions]:
    add = parser.add_argument
    add(
        "--tenant",
        choices=("empty", "bank"),
        default="empty",
        help="a tenant without rules, or a bank's tenant",
    )
    add(
        "--as",
        dest="speak",
        metavar="ENV",
        help="use the queues, custom fields and script of the Environment ENV",
    )
    add("--host", default="127.0.0.1", help="a loopback address (default: 127.0.0.1)")
    add(
        "--port",
        type=int,
        default=8099,
        help="port to listen on; 0 selects a free port (default: 8099)",
    )
    add(
        "--state",
        metavar="FILE",
        help="keep the state in this file, so that it survives a kill",
    )
    add(
        "--rate", type=float, metavar="N", help="answer 429 above N requests per second"
    )
    add(
        "--latency-ms",
        type=float,
        default=0.0,
        metavar="MS",
        help="wait MS milliseconds before each response",
    )
    add(
        "--faults", metavar="SPEC", default="", help="inject faults, as described below"
    )
    add("--seed", type=int, default=0, help="seed of the random faults (default: 0)")
    parser.epilog = (
        "The simulated tenant has every queue that the manifests (-m) name. It accepts any client "
        "id and secret, and\n"
        "any access key; if $CXONE_CLIENT_ID and $CXONE_CLIENT_SECRET, or $CXONE_ACCESS_KEY_ID "
        "and\n"
        "$CXONE_ACCESS_KEY_SECRET, are set, it accepts only their values.\n\n"
        "With --as and `rules: served`, POST /studio/contacts runs a contact through the script of "
        "`cxroute studio\n"
        "recipe --decide`, which asks the decision service; $CXROUTE_API_KEYS has its key.\n\n"
        f"{faults_help}"
    )
    return SimulateOptions


def run(options: SimulateOptions, output: Output) -> int:
    """Serve until SIGINT or SIGTERM."""
    _check(options)
    start = tenants.bank_tenant() if options.tenant == "bank" else tenants.TenantState()
    try:
        faults = FaultInjector(options.faults, options.seed) if options.faults else None
    except FaultSpecError as error:
        raise UsageError(f"--faults: {error}") from error
    with (
        open_state(Path(options.state), start)
        if options.state
        else nullcontext(start) as state
    ):
        settings = _prepare(state, options)
        app = Simulator(state, settings, faults)

        def print_address(url: str) -> None:
            _print_address(url, output)
            if settings.script:
                text = (
                    f"POST {url}{CONTACTS_PATH}: a contact asks {settings.script.url}"
                )
                output.result(f"{text}\n")
                output.flush()

        with requires_extra("serve", "`cxroute simulate`"):
            from reconciler.cli.http_server import open_listener, serve  # noqa: PLC0415 - an optional extra

            with open_listener(options.host, options.port) as listener:
                asyncio.run(serve(app, listener, print_address))
    return 0


def _prepare(state: tenants.TenantState, options: SimulateOptions) -> SimulatorSettings:
    """Add the queues of the manifests to a tenant, and return the settings of its simulator."""
    directory = Path(options.manifests)
    base = PROFILES["A"]
    if options.speak:
        environment = simulate_environment(state, options.speak, directory)
        base = replace(
            base,
            custom_fields=custom_fields(environment),
            script=_contact_script(environment),
        )
    else:
        add_queues(state, _named_queues(directory))
    # As is assumed of most tenants, it refuses duplicate names and has ETags.
    return replace(
        base,
        clients=_pair("CXONE_CLIENT_ID", "CXONE_CLIENT_SECRET"),
        access_keys=_pair("CXONE_ACCESS_KEY_ID", "CXONE_ACCESS_KEY_SECRET"),
        rate=options.rate,
        latency=options.latency_ms / 1000,
    )


def _print_address(url: str, output: Output) -> None:
    output.result(
        f"Simulated CXone on {url}   (stop it with Ctrl-C)\n"
        f"In an Environment: api: {{baseUrl: '{url}'}}\n"
        f"With an access key: api: {{auth: access-key, issuer: '{url}'}}\n"
    )
    output.flush()  # another process may wait for this line


def _check(options: SimulateOptions) -> None:
    if not 0 <= options.port <= LAST_PORT:
        raise UsageError(f"--port {options.port}: must be a port from 0 to {LAST_PORT}")
    if options.latency_ms < 0 or (options.rate is not None and options.rate <= 0):
        raise UsageError(
            "--latency-ms must be at least 0, and --rate must be greater than 0"
        )
    if not is_loopback(options.host):
        raise UsageError(
            f"--host {options.host}: must be a loopback address, such as 127.0.0.1"
        )


def _pair(id_variable: str, secret_variable: str) -> dict[str, str] | None:
    client_id = os.environ.get(id_variable)
    secret = os.environ.get(secret_variable)
    if not client_id or not secret:
        return None
    return {client_id: secret}


def _named_queues(directory: Path) -> list[Queue]:
    """Return all queues that the manifests use in any environment, or none without valid
    manifests.
    """
    try:
        manifests = load_manifests(directory, utc_now())
        names = {*manifests.environments, SANDBOX}
        return [
            queue
            for name in sorted(names)
            for queue in expected_queues(manifests, name)
        ]
    except ManifestError:
        return []
