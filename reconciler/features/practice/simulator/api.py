"""The API: a complete request in, a complete response out. It implements all of api-contract."""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from reconciler.features.practice.simulator import auth
from reconciler.features.practice.simulator import messages as http
from reconciler.features.practice.simulator.contacts import (
    merge_context,
    send_signal,
    set_custom_fields,
)
from reconciler.features.practice.simulator.entry_points import (
    business_unit,
    channels,
    custom_field_definitions,
    points_of_contact,
)
from reconciler.features.practice.simulator.paging import (
    ListLag,
    list_page,
    queues_page,
    routing_queues_page,
    skills_page,
)
from reconciler.features.practice.simulator.scripts import (
    lock_script,
    read_history,
    read_script,
    read_version,
    save_script,
)
from reconciler.features.practice.simulator.settings import SimulatorSettings
from reconciler.features.practice.simulator.state import (
    JsonObject,
    TenantState,
    format_timestamp,
    rule_version,
)
from reconciler.features.practice.simulator.storage import StateError
from reconciler.features.practice.simulator.validate import rule_problems

Handler = Callable[["SimulatorApi", http.SimRequest], http.SimResponse]

MAX_BODY_BYTES: Final = 1_048_576
DIVISION: Final = {"id": "00000000-0000-4000-8000-00000000d1f1", "name": "Home"}
_READ: Final = "routing:read"
_WRITE: Final = "routing:write"
_INTERACT: Final = "interaction:write"
_SERVER_FIELDS: Final = ("id", "version", "dateCreated", "dateModified", "selfUri")


class SimulatorApi:
    """A tenant's API over one state."""

    def __init__(self, state: TenantState, settings: SimulatorSettings) -> None:
        self.state = state
        self.settings = settings
        self.tokens = auth.TokenIssuer(settings)
        self._bucket = TokenBucket(settings)
        self._lag = ListLag(settings)
        self._idempotent_responses: dict[str, tuple[bytes, http.SimResponse]] = {}

    def handle(self, request: http.SimRequest) -> http.SimResponse:
        """Return the response, and record in the request whether it changed the state."""
        before = self.state.revision
        try:
            return self._dispatch(request)
        except http.ApiProblemError as refused:
            return refused.response
        except StateError as error:
            problem = http.ApiProblem(str(error), "insufficient.storage")
            return http.error_response(507, problem)
        finally:
            if self.state.revision != before:
                request.changed_state = True

    def list_rules(self, request: http.SimRequest) -> http.SimResponse:
        """GET rules."""
        all_rules = self.state.rules()
        rules = self._lag.visible(all_rules)
        return list_page(request, rules, self.settings.page_cap)

    def read_rule(self, request: http.SimRequest) -> http.SimResponse:
        """GET one rule."""
        rule = self._find_rule(request)
        return self.rule_response(200, rule)

    def create_rule(self, request: http.SimRequest) -> http.SimResponse:
        """POST a rule; a repeated Idempotency-Key returns the first response, if the server
        supports these keys.
        """
        key = None
        if self.settings.idempotency_keys:
            key = request.headers.get("idempotency-key")
        if key is None:
            return self._create_rule(request)

        if key not in self._idempotent_responses:
            self._idempotent_responses[key] = (request.body, self._create_rule(request))
        body, response = self._idempotent_responses[key]
        if body != request.body:
            message = "The Idempotency-Key was used with another body"
            problem = http.ApiProblem(message, "idempotency.mismatch")
            raise http.ApiProblemError(422, problem)
        return response

    def update_rule(self, request: http.SimRequest) -> http.SimResponse:
        """PUT a rule: absent fields are removed, unknown ones stored."""
        live = self._find_rule(request)
        body = self._validate_rule(http.parse_json_body(request))
        if body.get("id", live["id"]) != live["id"]:
            problem = http.ApiProblem("differs from the path's", "invalid.value", "id")
            raise http.ApiProblemError(422, problem)
        self._check_etag(request, live)
        self._check_name_free(body["name"], live["id"])

        rule = dict(body)
        for key in _SERVER_FIELDS:
            if key in live:
                rule[key] = live[key]
        rule["version"] = rule_version(live) + 1
        rule["dateModified"] = format_timestamp(self.settings.clock())
        stored = self.state.put(rule)
        return self.rule_response(200, stored)

    def delete_rule(self, request: http.SimRequest) -> http.SimResponse:
        """DELETE a rule."""
        live = self._find_rule(request)
        self._check_etag(request, live)
        self.state.remove(live["id"])
        return http.SimResponse(status=204)

    def _dispatch(self, request: http.SimRequest) -> http.SimResponse:
        route = request.route
        for path, methods in _ROUTES.items():
            if re.fullmatch(path, route):
                return self._call(request, methods)
        problem = http.ApiProblem("Not found", "not.found")
        return http.error_response(404, problem)

    def _call(
        self,
        request: http.SimRequest,
        methods: Mapping[str, tuple[str, Handler]],
    ) -> http.SimResponse:
        if request.method not in methods:
            return _wrong_method(methods)
        scope, handler = methods[request.method]
        refusal = self._refuse_access(request, scope) if scope else None
        return refusal or handler(self, request)

    def _refuse_access(
        self,
        request: http.SimRequest,
        scope: str,
    ) -> http.SimResponse | None:
        if not self.tokens.accepts(request):
            message = "The token is invalid or has expired"
            problem = http.ApiProblem(message, "bad.credentials")
            challenge = ("www-authenticate", "Bearer")
            return http.error_response(401, problem, headers=(challenge,))
        rate_limited = self._bucket.take_permit()
        if rate_limited:
            return rate_limited
        if scope not in self.settings.scopes:
            problem = http.ApiProblem(f"Missing scope: {scope}", "missing.scope")
            return http.error_response(403, problem)
        limit = MAX_BODY_BYTES
        if request.segments[-1] == "scripts":
            limit *= 8
        return http.error_response(413) if len(request.body) > limit else None

    def _find_rule(self, request: http.SimRequest) -> JsonObject:
        rule = self.state.stored_rules.get(request.segments[-1])
        if rule is None:
            problem = http.ApiProblem("Rule not found", "not.found")
            raise http.ApiProblemError(404, problem)
        return rule

    def _validate_rule(self, body: http.Json) -> JsonObject:
        problems = rule_problems(body, self.state)
        if problems:
            raise http.ApiProblemError(422, *problems)
        return dict(body)

    def _create_rule(self, request: http.SimRequest) -> http.SimResponse:
        body = self._validate_rule(http.parse_json_body(request))
        self._check_name_free(body["name"], None)
        identity = self.settings.new_id()
        now = format_timestamp(self.settings.clock())
        server_fields = {
            "id": identity,
            "version": 1,
            "dateCreated": now,
            "dateModified": now,
            "selfUri": f"{http.RULES_PATH}/{identity}",
        }
        rule = {"id": identity} | body | server_fields
        rule.setdefault("division", DIVISION)
        stored = self.state.put(rule)
        self._lag.hide(identity)
        return self.rule_response(201, stored)

    def _check_etag(self, request: http.SimRequest, live: JsonObject) -> None:
        etag = None
        if self.settings.etags:
            etag = request.headers.get("if-match")
        if etag not in (None, "*", _etag(live)):
            message = "The rule was changed since it was read"
            problem = http.ApiProblem(message, "precondition.failed")
            raise http.ApiProblemError(412, problem)

    def _check_name_free(self, name: str, own_id: str | None) -> None:
        if not self.settings.names_unique:
            return
        if self.state.ids_named(name) - {own_id}:
            message = "A rule with this name may already exist, check for duplicates"
            problem = http.ApiProblem(message, "conflict", "name")
            raise http.ApiProblemError(409, problem)

    def rule_response(self, status: int, rule: JsonObject) -> http.SimResponse:
        """Return a rule, with its ETag if the server has ETags."""
        if not self.settings.etags:
            return http.json_response(status, rule)
        header = ("etag", _etag(rule))
        return http.json_response(status, rule, header)


class TokenBucket:
    """Holds up to `burst` permits and gains `rate` a second."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self._settings = settings
        self._permits = float(settings.burst)
        self._counted_at = settings.clock()

    def take_permit(self) -> http.SimResponse | None:
        """Take a permit and return None, or return the 429 with its Retry-After."""
        rate = self._settings.rate
        if rate is None:
            return None
        now = self._settings.clock()
        gained = max(now - self._counted_at, 0.0) * rate
        self._permits = min(self._settings.burst, self._permits + gained)
        self._counted_at = now
        if self._permits >= 1:
            self._permits -= 1
            return None

        wait = max(math.ceil((1 - self._permits) / rate), 1)
        problem = http.ApiProblem("Rate limit exceeded", "too.many.requests")
        header = ("retry-after", str(wait))
        return http.error_response(429, problem, headers=(header,))


def _wrong_method(methods: Iterable[str]) -> http.SimResponse:
    allow = ("allow", ", ".join(sorted(methods)))
    problem = http.ApiProblem("Method not allowed", "method.not.allowed")
    return http.error_response(405, problem, headers=(allow,))


def _etag(rule: JsonObject) -> str:
    return f'"{rule_version(rule)}"'


def _tenant(
    call: Callable[[TenantState, SimulatorSettings, http.SimRequest], http.SimResponse],
) -> Handler:
    return lambda api, request: call(api.state, api.settings, request)


def _public(
    call: Callable[[auth.TokenIssuer, http.SimRequest], http.SimResponse],
) -> tuple[str, Handler]:
    return "", lambda api, request: call(api.tokens, request)


# The scope and the handler of each method, by path; an empty scope for a request that needs no
# token.
_ROUTES: Final[Mapping[str, Mapping[str, tuple[str, Handler]]]] = {
    "api/v2/routing/rules": {
        "GET": (_READ, SimulatorApi.list_rules),
        "POST": (_WRITE, SimulatorApi.create_rule),
    },
    "api/v2/routing/rules/[^/]*": {
        "GET": (_READ, SimulatorApi.read_rule),
        "PUT": (_WRITE, SimulatorApi.update_rule),
        "DELETE": (_WRITE, SimulatorApi.delete_rule),
    },
    "api/v2/routing/queues": {"GET": (_READ, _tenant(queues_page))},
    "api/v2/interactions/interactions/[^/]*/context": {
        "POST": (_INTERACT, _tenant(merge_context))
    },
    r"inContactAPI/services/v[1-9][0-9]?\.0/skills": {
        "GET": (_READ, _tenant(skills_page))
    },
    r"inContactAPI/services/v[1-9][0-9]?\.0/scripts": {
        "GET": (_READ, _tenant(read_script)),
        "POST": (_WRITE, _tenant(save_script)),
        "PUT": (_WRITE, _tenant(lock_script)),
    },
    r"inContactAPI/services/v[1-9][0-9]?\.0/scripts/historyByName": {
        "GET": (_READ, _tenant(read_history))
    },
    r"inContactAPI/services/v[1-9][0-9]?\.0/scripts/[^/]*": {
        "GET": (_READ, _tenant(read_version))
    },
    r"inContactAPI/services/v[1-9][0-9]?\.0/points-of-contact": {
        "GET": (_READ, _tenant(points_of_contact))
    },
    r"inContactAPI/services/v[1-9][0-9]?\.0/business-unit": {
        "GET": (_READ, _tenant(business_unit))
    },
    "dfo/3[.]0/channels": {"GET": (_READ, _tenant(channels))},
    "dfo/3[.]0/contacts/custom-field-definitions": {
        "GET": (_READ, _tenant(custom_field_definitions))
    },
    "dfo/3[.]0/routing-queues": {"GET": (_READ, _tenant(routing_queues_page))},
    "dfo/3[.]0/contacts/[^/]*/custom-fields": {
        "PUT": (_INTERACT, _tenant(set_custom_fields))
    },
    r"inContactAPI/services/v[1-9][0-9]?\.0/interactions/[^/]*/signal": {
        "POST": (_INTERACT, _tenant(send_signal))
    },
    "oauth/token": {"POST": _public(auth.client_token)},
    "auth/token": {"POST": _public(auth.password_token)},
    "authentication/v1/token/access-key": {"POST": _public(auth.access_key_token)},
    "[.]well-known/openid-configuration": {"GET": _public(auth.openid_configuration)},
    "[.]well-known/cxone-configuration": {"GET": _public(auth.cxone_configuration)},
}
