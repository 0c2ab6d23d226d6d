"""The reads that a write requires: R1, R2, R6, R7, R9, R11 and R12 at each request."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from tests.campaign.oracle_copies import DECLARED, KNOWN_IN_PARTS
from tests.campaign.oracle_facts import SERVERS_OWN, body_of, mark, part, plain
from tests.campaign.oracle_process import WRITES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.campaign.oracle_desired import Wish
    from tests.campaign.oracle_process import ObservedWrite, Process
    from tests.campaign.oracle_tenant import Tenant
    from tests.campaign.oracle_verdict import Verdicts
    from tests.campaign.world import Event

Json = Any
Rule = dict[str, Any]


class Requests:
    """Checks each write before it is done."""

    def __init__(self, tenant: Tenant, verdicts: Verdicts) -> None:
        self.tenant, self.verdicts = tenant, verdicts

    def look(
        self, process: Process, event: Event, call: str, wish: Wish, now: int
    ) -> None:
        """Check a request before it is done."""
        where = (
            f"{event.actor}'s request {event.number}, {event.request.method} "
            f"{event.request.path}"
        )
        if call not in WRITES:
            declared = call in ("token", "list", "get", "queues")
            self.verdicts.check(
                "R1", declared, f"{where} is nothing that this tool should ask for"
            )
            return
        write = process.write_of(event, now)
        self._readings(process, where, call)
        self._unclear(process, write, where)
        back = call != "create" and self._is_taken_back(process, write)
        if call != "create":
            self._owned(process, write, wish, where, back=back)
            self._looked_at(process, write, where)
        if call != "delete" and not back:
            self._marked(write, wish, where)
            self._queues(process, write, where)
        if call == "update" and not back:
            self._kept(process, write, where)
        if call == "delete":
            self._confirmed(process, write, where)
            self._given_up(process, write, wish, where)

    def _readings(self, process: Process, where: str, call: str) -> None:
        """R11: two complete lists before the first create or delete, and no incomplete one after
        them.
        """
        least = 1 if call == "update" else 2
        count = len(process.listings)
        self.verdicts.check(
            "R11",
            count >= least,
            f"{where}: after {count} complete lists of rules, not {least}",
        )
        self.verdicts.check(
            "R11",
            not process.asking,
            f"{where}: the last list of rules was not complete",
        )

    def _unclear(self, process: Process, write: ObservedWrite, where: str) -> None:
        """R6: after a write with an unknown result, that rule is read first, and nothing is
        deleted.
        """
        for item in process.unclear:
            if process.listings and process.listings[-1].began > item.at:
                continue
            same = bool(item.keys & write.keys) and not self._is_repeat(item, write)
            delete = write.call == "delete" and item.call != "delete"
            text = f"{where}: the result of {item.request.method} for {item.address} is unknown"
            self.verdicts.check(
                "R6",
                not same and not delete,
                f"{text}, and no complete list was read since",
            )
        self.verdicts.counts["R6"] += 1

    def _is_repeat(self, one: ObservedWrite, write: ObservedWrite) -> bool:
        """Return whether the server recognises a repeated write: then the repeat has no further
        effect.
        """
        key = write.request.headers.get("idempotency-key")
        declared = (
            self.tenant.world.profile.settings.idempotency_keys and key is not None
        )
        return (
            declared
            and one.request.headers.get("idempotency-key") == key
            and one.request.body == write.request.body
        )

    def _is_taken_back(self, process: Process, write: ObservedWrite) -> bool:
        """Return whether a write undoes this applier's own first one, which the tenant changed: it
        wrote no other.

        A created rule is deleted; an adopted one is written exactly as before, field by field.
        """
        rule_id = write.request.segments[-1]
        requests_sent = body_of(write.request)
        remaining_items = [
            item
            for item in process.made
            if item != rule_id and item in self.tenant.rules
        ]
        remaining_items += [item for item in process.taken if item != rule_id]
        created = self.tenant.made_by(rule_id, process)
        if not process.first_contact or remaining_items:
            return False
        was = process.taken.get(rule_id)
        same = was is not None and all(
            requests_sent.get(key) == value
            for key, value in was.items()
            if key not in SERVERS_OWN
        )
        return created if write.call == "delete" else same

    def _owned(
        self,
        process: Process,
        write: ObservedWrite,
        wish: Wish,
        where: str,
        *,
        back: bool,
    ) -> None:
        """R1: the rule was managed when this applier last read it, or will be adopted, or its first
        write is undone.
        """
        read = process.last_read.get(write.request.segments[-1])
        if read is None:
            self.verdicts.check("R1", None, f"{where}: it has never read that rule")
            return
        fine = back or wish.ours(read) or (write.call == "update" and wish.adopts(read))
        if (
            write.call == "update"
            and mark(read) is None
            and mark(body_of(write.request)) is not None
        ):
            process.taken.setdefault(write.request.segments[-1], read)
        self.verdicts.check(
            "R1",
            fine,
            f"{where}: {read.get('name')!r} was not managed when it was read",
        )

    def _looked_at(self, process: Process, write: ObservedWrite, where: str) -> None:
        """R9: the rule was read by itself after this applier last wrote it, and the ETag is
        sent.
        """
        rule_id = write.request.segments[-1]
        earlier = [
            item.at
            for item in process.writes
            if rule_id in item.keys and item.request is not write.request
        ]
        since = max(
            (at for at in earlier if not self._was_not_done(process, at)), default=-1
        )
        fine = process.looked_at.get(rule_id, -2) > since
        self.verdicts.check(
            "R9", fine, f"{where}: it was not read by itself just before"
        )
        etag = process.etags.get(rule_id, "")
        requests_sent = write.request.headers.get("if-match", "")
        self.verdicts.check(
            "R9",
            not etag or requests_sent == etag,
            f"{where}: If-Match is {requests_sent!r}, the ETag read {etag!r}",
        )

    @staticmethod
    def _was_not_done(process: Process, at: int) -> bool:
        """Return whether the response to a write said that nothing was done, so that it may be sent
        again unchanged.
        """
        write = next(write for write in process.writes if write.at == at)
        unclear = any(item.request is write.request for item in process.unclear)
        return not unclear and not write.request.changed_state

    def _marked(self, write: ObservedWrite, wish: Wish, where: str) -> None:
        """R1: the written rule has an own marker, and equals the manifest's rule except for a name
        (R19).
        """
        actual = mark(body_of(write.request))
        fine = (
            actual is not None
            and actual.owner == wish.owner
            and actual.address in wish.rules
        )
        self.verdicts.check(
            "R1",
            fine,
            f"{where}: the written rule is marked as {actual}, which no manifest declares",
        )
        if actual is not None and actual.address in wish.rules:
            expected = plain(wish.rules[actual.address])
            requests_sent = plain(body_of(write.request))
            self.verdicts.check(
                "R19",
                expected[1:] == requests_sent[1:],
                f"{where}: the written rule is not the manifest's rule",
            )

    def _queues(self, process: Process, write: ObservedWrite, where: str) -> None:
        """R12: each written queue was listed to this applier."""
        targets = body_of(write.request).get("targets") or ()
        named = {
            target.get("queueId") for target in targets if target.get("type") == "queue"
        }
        faults = self.tenant.world.faults
        nothing = (
            sum("empty-list" in text for text, _ in faults.fired_faults) > 1
            if faults
            else False
        )
        # a tenant without queues is exit 3, tried elsewhere
        unknown = set() if nothing else named - process.queues
        self.verdicts.check(
            "R12",
            not unknown,
            f"{where}: queues {unknown} were in no list that it read",
        )

    def _kept(self, process: Process, write: ObservedWrite, where: str) -> None:
        """R2: parts that no manifest declares are written as they were read, in the rule and in its
        remaining parts.
        """
        read = process.last_read.get(write.request.segments[-1], {})
        requests_sent = body_of(write.request)
        lost = [
            key for key in read.keys() - DECLARED if requests_sent.get(key) != read[key]
        ]
        self.verdicts.check(
            "R2", not lost, f"{where}: fields {lost} do not go back as they were read"
        )
        for name in ("conditions", "targets"):
            missing = _not_kept(read.get(name) or (), requests_sent.get(name) or ())
            self.verdicts.check(
                "R2", not missing, f"{where}: {name} lose unknown fields: {missing}"
            )

    def _confirmed(self, process: Process, write: ObservedWrite, where: str) -> None:
        """R7: the replacement of a deleted rule was read in its current version, not only
        written.
        """
        routes = self.tenant.routes
        rules = self.tenant.rules
        rule_id = write.request.segments[-1]
        if routes is None or rule_id not in rules:
            return
        now = routes.winners(rules.values())
        then = routes.winners(rule for rule in rules.values() if rule["id"] != rule_id)
        for case, (before, after) in enumerate(zip(now, then, strict=True)):
            if all(item["id"] != rule_id for item in before):
                continue
            self.verdicts.counts["R7"] += 1
            observed = [
                item
                for item in after
                if not self._is_appliers(item["id"]) or _is_shown(item, process)
            ]
            declared = {routes.goes(item) for item in observed}
            for heir in after:
                text = (
                    f"{where}: {heir['name']!r} was not read in its current version, and takes "
                    f"over {routes.name(case)}"
                )
                if routes.goes(heir) not in declared:
                    self.verdicts.check("R7", None, text)
                    return

    def _is_appliers(self, rule_id: str) -> bool:
        return self.tenant.writer(rule_id) not in ("", "human", "late")

    def _given_up(
        self, process: Process, write: ObservedWrite, wish: Wish, where: str
    ) -> None:
        """R7: a rule is not deleted if it serves conversations of a rule that could not be
        written.
        """
        routes = self.tenant.routes
        rules = self.tenant.rules
        rule_id = write.request.segments[-1]
        if routes is None or rule_id not in rules or not process.failed:
            return
        done = {
            actual.address
            for rule in rules.values()
            if wish.fulfils(rule) and (actual := mark(rule))
        }
        failed = {item.address for item in process.failed} - done
        expected = {
            address: wish.rules[address] for address in failed if address in wish.rules
        }
        now, then = (
            routes.winners(item)
            for item in (rules.values(), wish.afterwards(rules.values())[0])
        )
        for case, (before, after) in enumerate(zip(now, then, strict=True)):
            here = any(item["id"] == rule_id for item in before)
            present = next(
                (
                    where
                    for where, item in expected.items()
                    if any(item is two for two in after)
                ),
                "",
            )
            text = f"{where}: {present} could not be written, and should serve {routes.name(case)}"
            self.verdicts.check("R7", not (here and present), text)


def _not_kept(
    read: tuple[Mapping[str, Json], ...], sent: tuple[Mapping[str, Json], ...]
) -> list[str]:
    """Return the remaining parts that lose other fields."""
    staying = Counter(map(part, read)) & Counter(map(part, sent))
    lost = []
    for which, count in staying.items():
        before = [item for item in read if part(item) == which]
        after = [item for item in sent if part(item) == which]
        retained = sum(1 for item in before if any(_has(two, item) for two in after))
        if retained < min(count, len(before)):
            lost.append(str(before))
    return lost


def _has(sent: Mapping[str, Json], read: Mapping[str, Json]) -> bool:
    return all(
        sent.get(key) == value
        for key, value in read.items()
        if key not in KNOWN_IN_PARTS
    )


def _is_shown(rule: Mapping[str, Json], process: Process) -> bool:
    """Return whether a process saw the current version of a rule, even if the same was written
    again later.
    """
    printed = process.shown.get(rule["id"], ())
    return any(
        (plain(item), mark(item)) == (plain(rule), mark(rule)) for item in printed
    )
