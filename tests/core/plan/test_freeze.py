"""Freeze windows: when they are open."""

from __future__ import annotations

from datetime import UTC, date, datetime

from reconciler.core.manifest.kinds.guard_limits import DatedFreeze, WeeklyFreeze
from tests.support.cases import each_case


@each_case(
    "window, inside, outside",
    [
        (
            WeeklyFreeze.model_validate(
                {
                    "days": ("fri",),
                    "from": "16:00",
                    "to": "24:00",
                    "timezone": "Europe/Berlin",
                }
            ),
            ["2026-11-27T15:00:00+00:00", "2026-11-27T22:59:59+00:00"],
            [
                "2026-11-27T14:59:59+00:00",
                "2026-11-27T23:00:00+00:00",
                "2026-11-26T16:00:00+00:00",
            ],
        ),
        (
            WeeklyFreeze.model_validate(
                {"days": ("sun",), "from": "22:00", "to": "06:00"}
            ),
            ["2026-11-29T22:00:00+00:00", "2026-11-30T05:59:00+00:00"],
            [
                "2026-11-29T05:00:00+00:00",
                "2026-11-30T06:00:00+00:00",
                "2026-11-30T22:00:00+00:00",
            ],
        ),
        (
            DatedFreeze.model_validate(
                {
                    "start": "2026-12-20",
                    "end": "2027-01-02",
                    "timezone": "Europe/Berlin",
                }
            ),
            ["2026-12-19T23:00:00+00:00", "2027-01-02T22:59:59+00:00"],
            ["2026-12-19T22:59:59+00:00", "2027-01-02T23:00:00+00:00"],
        ),
        (
            DatedFreeze.model_validate(
                {
                    "start": date(2026, 12, 20),
                    "end": datetime(2026, 12, 21, 9, tzinfo=UTC),
                }
            ),
            ["2026-12-20T00:00:00+00:00", "2026-12-21T08:59:59+00:00"],
            ["2026-12-19T23:59:59+00:00", "2026-12-21T09:00:00+00:00"],
        ),
        (
            DatedFreeze.model_validate(
                {"start": "2026-12-20T08:00:00+01:00", "end": "2026-12-20T08:00:00Z"}
            ),
            ["2026-12-20T07:00:00+00:00"],
            ["2026-12-20T06:59:59+00:00", "2026-12-20T08:00:00+00:00"],
        ),
    ],
)
def test_when_a_freeze_is_open(
    window: WeeklyFreeze | DatedFreeze, inside: list[str], outside: list[str]
) -> None:
    """Windows begin and end in local time of their zone; a window includes full days, but not its
    end.
    """
    stored_values = [
        window.covers(datetime.fromisoformat(now)) for now in (*inside, *outside)
    ]
    assert [True] * len(inside) + [False] * len(outside) == stored_values
