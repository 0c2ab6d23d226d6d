"""The bank's recorded conversations and traffic sample: `python -m tests.support.bank_traffic`
writes both files.

The figures are made up for the example. The sample is what `cxroute traffic import` makes of the
records.
"""

from __future__ import annotations

import csv
import sys
from io import StringIO
from pathlib import Path
from typing import Final

from reconciler.cli.main import main
from tests.support.traffic_records import (
    MISTAKEN,
    NO_SCORE,
    SOME_WITHOUT_SCORE,
    Record,
    TrafficModel,
    weights_of,
)

TRAFFIC: Final = Path(__file__).parents[2] / "manifests" / "traffic"
RECORDS: Final = TRAFFIC / "conversations.csv"
SAMPLE: Final = TRAFFIC / "bank.csv"
PERIOD: Final = "2026-10-01 to 2026-10-31"
COLUMNS: Final = {
    "intent": "Intent",
    "confidence": "Score",
    "language": "Language",
    "customerTier": "Tier",
    "transferAmount": "Amount",
    "channel": "Channel",
    "ivrMenu": "Menu",
    "smokeTest": "Test",
}
"""The records' column of each attribute."""

_VOLUMES: Final = """
    Refund_not_showing_up 4000  activate_my_card 3030  age_limit 1000  apple_pay_or_google_pay 860  atm_support 1210
    automatic_top_up 1120  balance_not_updated_after_bank_transfer 10210
    balance_not_updated_after_cheque_or_cash_deposit 2060  beneficiary_not_allowed 980  cancel_transfer 2410
    card_about_to_expire 840  card_acceptance 1280  card_arrival 12030  card_delivery_estimate 2660  card_linking 900
    card_not_working 3990  card_payment_fee_charged 3060  card_payment_not_recognised 5280
    card_payment_wrong_exchange_rate 1270  card_swallowed 2180  cash_withdrawal_charge 2410
    cash_withdrawal_not_recognised 920  change_pin 2170  compromised_card 2580  contactless_not_working 750
    country_support 1360  declined_card_payment 8920  declined_cash_withdrawal 1720  declined_transfer 850
    direct_debit_payment_not_recognised 680  disposable_card_limits 1110  edit_personal_details 1950
    exchange_charge 950  exchange_rate 2250  exchange_via_app 1810  extra_charge_on_statement 920  failed_transfer 2810
    fiat_currency_support 1560  get_disposable_virtual_card 1360  get_physical_card 1310  getting_spare_card 1410
    getting_virtual_card 1680  lost_or_stolen_card 7710  lost_or_stolen_phone 940  order_physical_card 1620
    passcode_forgotten 4090  pending_card_payment 5380  pending_cash_withdrawal 1870  pending_top_up 1230
    pending_transfer 2620  pin_blocked 4870  receiving_money 880  request_refund 1780  reverted_card_payment? 900
    supported_cards_and_currencies 960  terminate_account 1220  top_up_by_bank_transfer_charge 1530
    top_up_by_card_charge 870  top_up_by_cash_or_cheque 1740  top_up_failed 3210  top_up_limits 1280
    top_up_reverted 1080  topping_up_by_card 900  transaction_charged_twice 7550  transfer_fee_charged 1360
    transfer_into_account 1870  transfer_not_received_by_recipient 5600  transfer_timing 1030
    unable_to_verify_identity 1670  verify_my_identity 4020  verify_source_of_funds 1110  verify_top_up 1390
    virtual_card_not_working 1200  visa_or_mastercard 1010  why_verify_identity 800  wrong_amount_of_cash_received 1380
    wrong_exchange_rate_for_cash_withdrawal 910
    small_talk 3500  none 3900
"""
"""Conversations of the month by intent. The bot's last two have no rule."""

_WITHOUT_BOT: Final = 6200
"""Callers of the phone menu, and callers who hang up before the bot answers."""

_MISTAKEN_INTENTS: Final = """
    Refund_not_showing_up card_not_working card_payment_wrong_exchange_rate declined_card_payment edit_personal_details
    extra_charge_on_statement request_refund terminate_account transaction_charged_twice
    transfer_not_received_by_recipient verify_source_of_funds wrong_exchange_rate_for_cash_withdrawal
"""
_URGENT_INTENTS: Final = (
    "card_payment_not_recognised compromised_card lost_or_stolen_card "
    "lost_or_stolen_phone"
)
"""Most of these callers use the phone, and some hang up before the bot has a score."""

_LANGUAGES: Final = (
    "en 70, de-DE 8, de 2, de-AT 2, de-CH 3, fr-FR 5, fr 1.5, fr-CH 2, fr-BE 1.5, fr-LU 0.6, - "
    "4.4"
)
_ATTRIBUTES: Final = {
    "language": weights_of(_LANGUAGES),
    "customerTier": weights_of("standard 72, silver 14, gold 8, platinum 2, - 4"),
    "transferAmount": weights_of("- 1"),
    "channel": weights_of("phone 55, app 33, web 12"),
    "ivrMenu": weights_of("- 1"),
    "smokeTest": weights_of("- 1"),
}
_EXCEPTIONS: Final = {
    **{
        intent: {"channel": weights_of("phone 80, app 18, web 2")}
        for intent in _URGENT_INTENTS.split()
    },
    "cancel_transfer": {
        "transferAmount": weights_of(
            "- 25, 50 12, 200 20, 1000 20, 5000 12, 10000 7, 25000 4"
        ),
    },
    "": {
        "language": weights_of("- 1"),
        "channel": weights_of("phone 1"),
        "ivrMenu": weights_of("after-hours 45, branch 40, - 15"),
    },
}
_CONFIDENCES: Final = {
    **dict.fromkeys(_MISTAKEN_INTENTS.split(), MISTAKEN),
    **dict.fromkeys(_URGENT_INTENTS.split(), SOME_WITHOUT_SCORE),
    "": NO_SCORE,
    "none": NO_SCORE,
}
_TEST_CALLS: Final[dict[Record, int]] = {
    ("", "", "", "", "", "phone", "", "routing"): 31
}
"""One each night."""


def volumes() -> dict[str, int]:
    """Return the conversations of the month by intent; "" is without the bot."""
    words = _VOLUMES.split()
    by_intent = {
        intent: int(number)
        for intent, number in zip(words[::2], words[1::2], strict=True)
    }
    return {**by_intent, "": _WITHOUT_BOT}


def records_text() -> str:
    """Return the records as CSV: one row for each kind of conversation, with the number of them."""
    model = TrafficModel(
        volumes=volumes(),
        attributes=_ATTRIBUTES,
        exceptions=_EXCEPTIONS,
        confidences=_CONFIDENCES,
    )
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((*COLUMNS.values(), "count"))
    for record, number in {**model.records(), **_TEST_CALLS}.items():
        writer.writerow((*record, number))
    return out.getvalue()


def remove_sample(environment: Path) -> None:
    """Remove the line of the traffic sample from the file of an Environment.

    To count its rows costs most of the time of a plan.
    """
    lines = environment.read_text("utf-8").splitlines(keepends=True)
    remaining = [line for line in lines if not line.startswith("traffic:")]
    assert len(remaining) == len(lines) - 1
    environment.write_text("".join(remaining), "utf-8")


def import_arguments(into: Path) -> tuple[str, ...]:
    """Return the command that makes the sample of the records."""
    columns = ",".join(f"{attribute}={column}" for attribute, column in COLUMNS.items())
    options = ("--columns", columns, "--period", PERIOD, "--into", str(into))
    return ("traffic", "import", str(RECORDS), *options)


if __name__ == "__main__":
    RECORDS.write_text(records_text(), encoding="utf-8")
    sys.exit(main(import_arguments(SAMPLE)))
