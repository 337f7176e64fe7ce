"""What an MSP decides about the smaller workflows."""

from typing import Final, Literal, get_args

from workflows.policy.parts import Mode, OwnTicket, Section

ClientField = Literal[
    "name",
    "website",
    "phone",
    "email",
    "billing_email",
    "notes",
    "type",
    "group",
    "parent_id",
    "invoice_to",
    "account_manager_email",
    "tax_number",
    "payment_terms_days",
    "currency",
    "custom_fields",
]
CLIENT_FIELDS: Final[tuple[ClientField, ...]] = get_args(ClientField)


class DealReopened(Section):
    """A won deal that is open again.

    Attributes:
        mode: of runs that webhooks start.
        task: the ticket that asks somebody to look, where the client stands already; None: the run asks.
    """

    mode: Mode = "auto"
    task: OwnTicket | None = None


class OnboardContact(Section):
    """A new contact.

    Attributes:
        mode: of runs that webhooks start.
        welcome_mail: whether a contact whose event asks for it gets HaloPSA's welcome e-mail.
    """

    mode: Mode = "auto"
    welcome_mail: bool = False


class DepartContact(Section):
    """A contact that leaves.

    Attributes:
        mode: of runs that webhooks start.
    """

    mode: Mode = "auto"


class UpdateClient(Section):
    """Changed data of a client.

    Attributes:
        mode: of runs that webhooks start.
        fields: the client's fields that an event may change.
    """

    mode: Mode = "auto"
    fields: tuple[ClientField, ...] = CLIENT_FIELDS


class ReactivateClient(Section):
    """A client that comes back.

    Attributes:
        mode: of runs that webhooks start.
    """

    mode: Mode = "auto"
