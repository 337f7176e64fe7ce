"""What an MSP decides about data quality."""

from datetime import time
from typing import Literal

from workflows.policy.parts import Section

Check = Literal[
    "client-without-contacts",
    "contact-without-email",
    "duplicate-client-names",
    "client-hierarchy",
    "client-without-account-manager",
    "inactive-client-with-open-tickets",
    "inactive-client-with-running-contracts",
    "inactive-client-with-recurring-invoices",
    "won-deal-without-client",
]


class DataQuality(Section):
    """Looking for faults in HaloPSA's data.

    Attributes:
        every: when it is done by itself, beside ``parhelion data-quality``: weekly is on Mondays.
        at: the time of day, in the policy's time zone.
        skip: checks that are left out.
    """

    every: Literal["never", "day", "week"] = "never"
    at: time = time(6)
    skip: tuple[Check, ...] = ()
