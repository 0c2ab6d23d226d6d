"""What an airline and a telecom route: teams, intents, languages and kinds of customers, for
generated projects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple


class Topic(NamedTuple):
    """A RuleSet of one team.

    A line of `rules` is a rule: an intent and its label, or a key and several such pairs.
    """

    name: str
    comment: str
    queue: str  # alias
    rules: str


class Desk(NamedTuple):
    """A team for callers with one of some values of an attribute."""

    key: str
    label: str
    queue: str
    values: Sequence[str]
    is_for_all: (
        bool  # otherwise for some intents first, and, after all teams, for what is left
    )


class NumberTest(NamedTuple):
    """An attribute that is a number, and the rule that tests it."""

    attribute: str
    label: str
    weights: str  # of its values
    intents: Sequence[str]  # of callers who have it
    key: str  # of the rule
    name: str
    test: str
    queue: str


@dataclass(frozen=True, kw_only=True)
class Trade:
    """The vocabulary of a kind of company."""

    name: str
    company: str
    queues: Mapping[str, str]  # live names by alias
    topics: Sequence[Topic]
    urgent: Topic  # before all others, with low floors
    languages: Mapping[str, tuple[str, float]]  # label and weight by value
    language_desks: Sequence[Desk]
    tier: str  # the attribute
    tier_label: str
    tiers: Mapping[str, tuple[str, float]]
    tier_desk: Desk
    number: NumberTest  # the rule is for the first of its intents
    channels: Mapping[str, tuple[str, float]]


AIRLINE: Final = Trade(
    name="airline",
    company="Meridian Air",
    queues={
        "reservations": "Reservations",
        "check-in": "Check-in and Seats",
        "baggage": "Baggage Tracing",
        "disruption": "Disruption Desk",
        "refunds": "Refunds and Claims",
        "miles": "Miles Club",
        "care": "Special Assistance",
        "digital": "Website and App Help",
        "premium": "Premium Desk",
        "spanish": "Atenci\u00f3n en espa\u00f1ol",
        "portuguese": "Atendimento em portugu\u00eas",
        "general": "General Enquiries",
        "overflow-partner": "Overflow Partner",
    },
    topics=[
        Topic(
            "booking",
            "Bookings and changes to them.",
            "reservations",
            """
            new_booking Book a flight
            change_flight Change a flight
            change_name Correct a name
            cancel_booking Cancel a booking
            group_booking Book for a group
            fares: fare_question Question about a fare, hold_fare Hold a fare, student_fare Fare for students
            confirmation: booking_confirmation Booking confirmation, booking_not_found Booking not found
            children: unaccompanied_minor Child who travels alone, infant_booking Book for an infant
            """,
        ),
        Topic(
            "airport",
            "Check-in, seats and the way through the airport.",
            "check-in",
            """
            online_check_in Online check-in
            check_in_failed Check-in failed
            boarding_pass_missing Boarding pass missing
            seats: seat_selection Choose a seat, seat_change Change a seat, extra_legroom Seat with more legroom
            upgrade_request Ask for an upgrade
            lounges: lounge_access Access to a lounge, lounge_guest Take a guest to a lounge
            documents: visa_question Visa, passport_data Passport data, transit_rules Transit
            """,
        ),
        Topic(
            "baggage",
            "Baggage, before and after the flight.",
            "baggage",
            """
            baggage_lost Lost baggage
            baggage_delayed Delayed baggage
            baggage_damaged Damaged baggage
            item_left_on_board Item left on board
            extra_baggage Extra baggage
            allowance: baggage_allowance Baggage allowance, hand_luggage_size Size of hand luggage
            special-baggage: sports_equipment Sports equipment, musical_instrument Musical instrument
            baggage_fee_question Baggage fee
            """,
        ),
        Topic(
            "money",
            "Refunds, claims and payments. A claim opens a case with a deadline.",
            "refunds",
            """
            refund_request Ask for a refund
            refund_status Status of a refund
            compensation_claim Claim compensation
            charged_twice Charged twice
            payment_declined Payment declined
            vouchers: voucher_redeem Use a voucher, voucher_expired Voucher expired
            paperwork: receipt_request Ask for a receipt, tax_refund Refund of taxes
            """,
        ),
        Topic(
            "miles",
            "The frequent flyers' programme.",
            "miles",
            """
            miles_missing Miles missing
            miles_redeem Use miles
            miles_expiry Expiry of miles
            status_question Status in the Miles Club
            status_match Match a status of another airline
            membership: join_programme Join the Miles Club, merge_accounts Merge two accounts
            card_replacement Replace a card
            """,
        ),
        Topic(
            "assistance",
            "Travellers who need help.",
            "care",
            """
            wheelchair_request Wheelchair
            medical_clearance Medical clearance
            oxygen_on_board Oxygen on board
            pregnant_traveller Pregnant traveller
            animals: service_animal Service animal, pet_in_cabin Pet in the cabin, pet_in_hold Pet in the hold
            meals: special_meal Special meal, allergy_on_board Allergy
            """,
        ),
        Topic(
            "digital",
            "The website and the app.",
            "digital",
            """
            login_failed Login failed
            password_reset Reset a password
            app_crash App does not start
            newsletter_stop Stop the newsletter
            profile: change_email Change the e-mail address, change_phone Change the phone number
            delete_profile Delete a profile
            """,
        ),
    ],
    urgent=Topic(
        "disruption",
        "Travellers who wait at the airport. A missed call costs a night, so the floors are low.",
        "disruption",
        """
        flight_cancelled Flight cancelled
        missed_connection Missed connection
        denied_boarding Boarding denied
        flight_delayed Flight delayed
        overnight: hotel_voucher Hotel voucher, meal_voucher Meal voucher
        """,
    ),
    languages={
        "en": ("English", 52),
        "en-US": ("English (United States)", 12),
        "es": ("Spanish (no country)", 6),
        "es-ES": ("Spanish (Spain)", 9),
        "es-MX": ("Spanish (Mexico)", 4),
        "es-AR": ("Spanish (Argentina)", 2),
        "pt": ("Portuguese (no country)", 2),
        "pt-BR": ("Portuguese (Brazil)", 5),
        "pt-PT": ("Portuguese (Portugal)", 3),
        "-": ("", 5),
    },
    language_desks=[
        Desk(
            "spanish",
            "Spanish",
            "spanish",
            ("es", "es-ES", "es-MX", "es-AR"),
            is_for_all=True,
        ),
        Desk(
            "portuguese",
            "Portuguese",
            "portuguese",
            ("pt", "pt-BR", "pt-PT"),
            is_for_all=False,
        ),
    ],
    tier="milesTier",
    tier_label="Miles Club tier",
    tiers={
        "blue": ("Blue", 40),
        "silver": ("Silver", 15),
        "gold": ("Gold", 7),
        "senator": ("Senator", 3),
        "-": ("", 35),
    },
    tier_desk=Desk(
        "premium", "Premium", "premium", ("gold", "senator"), is_for_all=False
    ),
    number=NumberTest(
        attribute="hoursToDeparture",
        label="hours to departure",
        weights="- 20, 3 10, 12 15, 30 15, 100 20, 500 20",
        intents=("change_flight", "cancel_booking", "change_name", "check_in_failed"),
        key="change-on-the-day",
        name="Change a flight on the day",
        test="lessThan: 24",
        queue="disruption",
    ),
    channels={
        "phone": ("Phone", 48),
        "app": ("App", 30),
        "web": ("Website", 17),
        "messenger": ("Messenger", 5),
    },
)

TELECOM: Final = Trade(
    name="telecom",
    company="Harbour Mobile",
    queues={
        "billing": "Billing",
        "network": "Network Support",
        "fibre": "Fibre and Router Support",
        "contracts": "Contracts",
        "retention": "Retention",
        "devices": "Devices and Orders",
        "field": "Field Service",
        "security": "Security Desk",
        "business": "Business Customers",
        "turkish": "T\u00fcrk\u00e7e Hizmet",
        "polish": "Obs\u0142uga po polsku",
        "general": "Customer Service",
        "overflow-partner": "Overflow Partner",
    },
    topics=[
        Topic(
            "billing",
            "Bills and payments.",
            "billing",
            """
            bill_too_high Bill too high
            bill_explanation Explain the bill
            payment_failed Payment failed
            payment_extension Pay later
            double_charge Charged twice
            direct-debit: direct_debit_setup Set up a direct debit, direct_debit_change Change a direct debit
            extras: roaming_charge Roaming charge, premium_sms_charge Charge for premium messages, late_fee Late fee
            copies: invoice_copy Copy of a bill, payment_receipt Receipt of a payment
            refund_status Status of a refund
            """,
        ),
        Topic(
            "mobile",
            "The mobile network.",
            "network",
            """
            no_signal No signal
            slow_mobile_data Slow mobile data
            call_drops Calls end suddenly
            roaming_not_working Roaming does not work
            voicemail: voicemail_setup Set up the voicemail, voicemail_pin PIN of the voicemail
            messages: sms_not_sent Message not sent, mms_not_received Picture not received
            data_used_up Data used up
            """,
        ),
        Topic(
            "home",
            "Fibre, router and television at home.",
            "fibre",
            """
            internet_down Internet does not work
            slow_internet Slow internet
            router_offline Router offline
            wifi_weak Weak Wi-Fi
            router-settings: wifi_password Wi-Fi password, router_reset Reset the router
            port_forwarding Port forwarding
            television: tv_no_picture No picture, tv_channel_missing Channel missing
            line_noise Noise on the line
            """,
        ),
        Topic(
            "contracts",
            "Contracts: new ones, changes, and the end.",
            "contracts",
            """
            upgrade_contract Upgrade the contract
            change_tariff Change the tariff
            contract_end_date End of the contract
            number_transfer Take the number along
            move_house Move house
            lines: add_line Add a line, remove_line Remove a line
            discounts: student_discount Discount for students, family_discount Discount for families
            owner_change Change the owner
            """,
        ),
        Topic(
            "leaving",
            "Customers who want to leave: the floors are high, because an offer to stay is "
            "expensive.",
            "retention",
            """
            cancel_contract Cancel the contract
            cancel_tv Cancel television
            better_offer Better offer elsewhere
            """,
        ),
        Topic(
            "devices",
            "Phones, SIM cards and orders.",
            "devices",
            """
            phone_broken Phone broken
            order_status Status of an order
            delivery_delayed Delivery delayed
            sim_not_recognised SIM card not recognised
            codes: puk_code PUK, sim_pin PIN of the SIM card
            esim: esim_setup Set up an eSIM, esim_transfer Move an eSIM
            buying: trade_in Trade in a phone, insurance_question Insurance, accessory_question Accessories
            warranty_claim Warranty
            """,
        ),
        Topic(
            "technician",
            "Appointments of technicians.",
            "field",
            """
            technician_appointment Appointment of a technician
            technician_late Technician is late
            appointment_move Move an appointment
            installation_question Installation
            """,
        ),
    ],
    urgent=Topic(
        "security",
        "Abuse and loss. Minutes count, so the floors are low.",
        "security",
        """
        phone_stolen Phone stolen
        sim_swap_suspected SIM card swapped
        account_hacked Account taken over
        unknown_calls_billed Unknown calls on the bill
        deceit: phishing_message Phishing, suspicious_call Suspicious call
        """,
    ),
    languages={
        "de": ("German", 70),
        "en": ("English", 9),
        "tr": ("Turkish (no country)", 7),
        "tr-TR": ("Turkish (Turkey)", 2),
        "pl": ("Polish (no country)", 4),
        "pl-PL": ("Polish (Poland)", 2),
        "-": ("", 6),
    },
    language_desks=[
        Desk("turkish", "Turkish", "turkish", ("tr", "tr-TR"), is_for_all=True),
        Desk("polish", "Polish", "polish", ("pl", "pl-PL"), is_for_all=False),
    ],
    tier="segment",
    tier_label="customer segment",
    tiers={
        "consumer": ("Consumer", 74),
        "young": ("Under 25", 10),
        "small-business": ("Small business", 8),
        "enterprise": ("Enterprise", 3),
        "-": ("", 5),
    },
    tier_desk=Desk(
        "business",
        "Business",
        "business",
        ("small-business", "enterprise"),
        is_for_all=False,
    ),
    number=NumberTest(
        attribute="monthsLeft",
        label="months left in the contract",
        weights="- 15, 1 15, 3 15, 8 20, 14 20, 20 15",
        intents=(
            "upgrade_contract",
            "change_tariff",
            "cancel_contract",
            "better_offer",
        ),
        key="upgrade-near-the-end",
        name="Upgrade in the last three months",
        test="lessThanOrEqual: 3",
        queue="retention",
    ),
    channels={"phone": ("Phone", 60), "app": ("App", 22), "chat": ("Chat", 18)},
)

TRADES: Final = {trade.name: trade for trade in (AIRLINE, TELECOM)}
