"""The API itself: a request in, an answer out, at once and whole. All of api-contract is here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from reconciler.simulator.auth import DOORS, Tokens
from reconciler.simulator.contacts import merge_context, set_custom_fields, signal
from reconciler.simulator.delivery import Bucket
from reconciler.simulator.messages import (
    RULES_PATH,
    Answer,
    Json,
    Problem,
    RefusedError,
    Request,
    json_answer,
    json_body,
    refusal,
)
from reconciler.simulator.paging import Lag, queues_page, rules_page
from reconciler.simulator.platform_queues import routing_queues_page, skills_page
from reconciler.simulator.state import State, Stored, timestamp, version_of
from reconciler.simulator.storage import StateError
from reconciler.simulator.validate import rule_problems

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from reconciler.simulator.settings import Settings

    Handler = Callable[["Api", Request], Answer]


LONGEST_BODY: Final = 1_048_576
DIVISION: Final = {"id": "00000000-0000-4000-8000-00000000d1f1", "name": "Home"}
_SERVERS_OWN: Final = ("id", "version", "dateCreated", "dateModified", "selfUri")
_GONE: Final = Problem("Rule not found", "not.found")
_TAKEN: Final = Problem("A rule with this name may already exist, check for duplicates", "conflict", "name")


class Api:
    """A tenant's API over one state."""

    def __init__(self, state: State, settings: Settings) -> None:
        self.state = state
        self.settings = settings
        self.tokens = Tokens(settings)
        self._bucket = Bucket(settings)
        self._lag = Lag(settings)
        self._repeats: dict[str, tuple[bytes, Answer]] = {}

    def answer(self, request: Request) -> Answer:
        """Do what the request asks, and note on it whether that changed the state."""
        before = self.state.revision
        try:
            return self._routed(request)
        except RefusedError as refused:
            return refused.answer
        except StateError as error:
            return refusal(507, Problem(str(error), "insufficient.storage"))
        finally:
            request.changed = request.changed or self.state.revision != before

    def list_rules(self, request: Request) -> Answer:
        """GET rules."""
        return rules_page(request, self._lag.visible(tuple(self.state.stored.values())), self.settings.page_cap)

    def list_queues(self, request: Request) -> Answer:
        """GET queues."""
        return queues_page(request, self.state.queues, self.settings.page_cap)

    def read_rule(self, request: Request) -> Answer:
        """GET one rule."""
        return self._shown(200, self._found(request))

    def create_rule(self, request: Request) -> Answer:
        """POST a rule; the same Idempotency-Key gives the first answer again, where the server has such keys."""
        key = request.headers.get("idempotency-key") if self.settings.idempotency_keys else None
        if key is None:
            return self._created(request)
        body, answer = self._repeats.get(key) or (request.body, self._created(request))
        if body != request.body:
            return refusal(422, Problem("The Idempotency-Key was used with another body", "idempotency.mismatch"))
        if answer.status == 201:  # noqa: PLR2004 - created
            self._repeats[key] = (body, answer)
        return answer

    def replace_rule(self, request: Request) -> Answer:
        """PUT a rule: what is left out is lost, what is not known is kept."""
        live = self._found(request).rule
        return self._updated(request, live, self._checked(json_body(request)))

    def merge_rule(self, request: Request) -> Answer:
        """PATCH a rule: what is left out is kept."""
        live, sent = self._found(request).rule, json_body(request)
        return self._updated(request, live, self._checked({**live, **sent} if isinstance(sent, dict) else sent))

    def _updated(self, request: Request, live: Mapping[str, Any], body: dict[str, Any]) -> Answer:
        if body.get("id", live["id"]) != live["id"]:
            return refusal(422, Problem("differs from the path's", "invalid.value", "id"))
        self._match(request, live)
        self._free_name(body["name"], live["id"])
        now = timestamp(self.settings.clock())
        kept: dict[str, Any] = {key: live[key] for key in _SERVERS_OWN if key in live}
        rule = {**body, **kept, "version": version_of(live) + 1, "dateModified": now}
        return self._shown(200, self.state.put(rule))

    def delete_rule(self, request: Request) -> Answer:
        """DELETE a rule."""
        live = self._found(request).rule
        self._match(request, live)
        self.state.remove(live["id"])
        return Answer(status=204)

    def _routed(self, request: Request) -> Answer:
        segments = request.segments
        if segments in DOORS:
            method, door = DOORS[segments]
            return door(self.tokens, request) if request.method == method else _wrong_method({method: None})
        methods = _methods(segments)
        if methods is None:
            return refusal(404, Problem("Not found", "not.found"))
        unspoken = {"PUT", "PATCH"} - {self.settings.dialect.update}
        if request.method not in methods or request.method in unspoken:
            return _wrong_method({name: what for name, what in methods.items() if name not in unspoken})
        scope, handler = methods[request.method]
        return self._barred(request, scope) or handler(self, request)

    def _barred(self, request: Request, scope: str) -> Answer | None:
        """Refuse who has no token, is too fast, may not do this, or sends too much."""
        if not self.tokens.accepts(request):
            problem = Problem("The token is invalid or has expired", "bad.credentials")
            return refusal(401, problem, headers=(("www-authenticate", "Bearer"),))
        too_fast = self._bucket.refusal()
        if too_fast is not None:
            return too_fast
        if scope not in self.settings.scopes:
            return refusal(403, Problem(f"Missing scope: {scope}", "missing.scope"))
        return refusal(413) if len(request.body) > LONGEST_BODY else None

    def _found(self, request: Request) -> Stored:
        stored = self.state.stored.get(request.segments[-1])
        if stored is None:
            raise RefusedError(refusal(404, _GONE))
        return stored

    def _checked(self, body: Json) -> dict[str, Any]:
        problems = rule_problems(body, self.state)
        if problems:
            raise RefusedError(refusal(422, *problems))
        return dict(body)

    def _created(self, request: Request) -> Answer:
        body = self._checked(json_body(request))
        self._free_name(body["name"], None)
        identity, now = self.settings.new_id(), timestamp(self.settings.clock())
        rule = {"id": identity, **{key: value for key, value in body.items() if key not in _SERVERS_OWN}}
        rule |= {"version": 1, "dateCreated": now, "dateModified": now, "selfUri": f"{RULES_PATH}/{identity}"}
        rule.setdefault("division", DIVISION)
        stored = self.state.put(rule)
        self._lag.hide(identity)
        return self._shown(201, stored)

    def _match(self, request: Request, live: Mapping[str, Any]) -> None:
        wanted = request.headers.get("if-match") if self.settings.etags else None
        if wanted not in (None, "*", _etag(live)):
            problem = Problem("The rule was changed since it was read", "precondition.failed")
            raise RefusedError(refusal(412, problem))

    def _free_name(self, name: str, own_id: str | None) -> None:
        if self.settings.names_unique and self.state.named(name) - {own_id}:
            raise RefusedError(refusal(409, _TAKEN))

    def _shown(self, status: int, stored: Stored) -> Answer:
        headers = (("etag", _etag(stored.rule)),) if self.settings.etags else ()
        return json_answer(status, stored.text, *headers)


_RULES: Final = {
    "GET": ("routing:read", Api.list_rules),
    "POST": ("routing:write", Api.create_rule),
}
_RULE: Final = {
    "GET": ("routing:read", Api.read_rule),
    "PUT": ("routing:write", Api.replace_rule),
    "PATCH": ("routing:write", Api.merge_rule),
    "DELETE": ("routing:write", Api.delete_rule),
}
_QUEUES: Final = {"GET": ("routing:read", Api.list_queues)}
_CONTEXT: Final[Mapping[str, tuple[str, Handler]]] = {
    "POST": ("interaction:write", lambda api, asked: merge_context(api.state, asked))
}
_CUSTOM_FIELDS: Final[Mapping[str, tuple[str, Handler]]] = {
    "PUT": ("interaction:write", lambda api, asked: set_custom_fields(api.state, api.settings, asked))
}
_SIGNAL: Final[Mapping[str, tuple[str, Handler]]] = {
    "POST": ("interaction:write", lambda api, asked: signal(api.state, asked))
}


def _of_platform(page: Callable[[Request, Sequence[dict[str, Any]], int], Answer]) -> Mapping[str, tuple[str, Handler]]:
    return {"GET": ("routing:read", lambda api, asked: page(asked, api.state.queues, api.settings.page_cap))}


_PATHS: Final[tuple[tuple[re.Pattern[str], Mapping[str, tuple[str, Handler]]], ...]] = (
    (re.compile("api/v2/routing/rules"), _RULES),
    (re.compile("api/v2/routing/rules/[^/]*"), _RULE),
    (re.compile("api/v2/routing/queues"), _QUEUES),
    (re.compile("api/v2/interactions/interactions/[^/]*/context"), _CONTEXT),
    (re.compile(r"inContactAPI/services/v[1-9][0-9]?\.0/skills"), _of_platform(skills_page)),
    (re.compile("dfo/3[.]0/routing-queues"), _of_platform(routing_queues_page)),
    (re.compile("dfo/3[.]0/contacts/[^/]*/custom-fields"), _CUSTOM_FIELDS),
    (re.compile(r"inContactAPI/services/v[1-9][0-9]?\.0/interactions/[^/]*/signal"), _SIGNAL),
)
"""What can be done at a path: for each method the scope that it needs and who answers."""


def _methods(segments: tuple[str, ...]) -> Mapping[str, tuple[str, Handler]] | None:
    path = "/".join(segment.replace("/", "%2F") for segment in segments)
    return next((methods for shape, methods in _PATHS if shape.fullmatch(path)), None)


def _wrong_method(methods: Mapping[str, object]) -> Answer:
    problem = Problem("Method not allowed", "method.not.allowed")
    return refusal(405, problem, headers=(("allow", ", ".join(sorted(methods))),))


def _etag(rule: Mapping[str, Any]) -> str:
    return f'"{version_of(rule)}"'
