"""What an MSP decides about its HaloPSA as a whole: keys, addresses, names, lists and fields."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints, field_validator

from workflows.canonical import normalised_name
from workflows.policy.parts import (
    CUSTOM_FIELD,
    Agent,
    CustomerGroup,
    CustomerType,
    CustomField,
    CustomFields,
    FieldValue,
    Id,
    ListedAs,
    Relationship,
    Section,
    Status,
    Text,
)

NATIVE_KEYS: Final = (
    "ref",
    "accountsid",
    "hubspot_id",
    "xeroid",
    "datto_id",
    "itglue_id",
    "azure_tenant_id",
    "servicenowid",
)
"""The client's own text fields that can hold another system's key (HaloPSA's schema ``Area``)."""
ADDRESS_LINES: Final = 4
AddressPart = Literal["line1", "line2", "city", "region", "country", ""]
LEGAL_FORMS: Final = (
    *("ltd", "limited", "plc", "llp", "cic", "inc", "incorporated", "corp", "corporation", "co", "company", "llc"),
    *("lp", "pc", "pllc", "pty", "pvt", "pte", "gmbh", "ag", "kg", "ohg", "ug", "eg", "ev", "mbh", "sa", "sas", "sarl"),
    *("srl", "spa", "sl", "bv", "nv", "ab", "as", "asa", "aps", "oy", "oyj", "sro", "kft"),
)
SHARED_DOMAINS: Final = (
    *("gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "hotmail.co.uk", "live.com", "msn.com"),
    *("yahoo.com", "yahoo.co.uk", "icloud.com", "me.com", "aol.com", "proton.me", "protonmail.com"),
    *("gmx.de", "gmx.net", "web.de", "t-online.de", "btinternet.com", "comcast.net", "orange.fr"),
    *("example.com", "example.net", "example.org"),  # nobody's: kept for examples by RFC 2606
)


def _client_key(value: str) -> str:
    if value not in NATIVE_KEYS and not CUSTOM_FIELD.fullmatch(value):
        raise ValueError(f"must be one of {', '.join(NATIVE_KEYS)}, or a custom field by name (CF…) or id")
    return value


class Halopsa(Section):
    """How this tenant keeps things.

    Attributes:
        external_key: the client's field that holds the CRM's key: `NATIVE_KEYS`, or a custom field by name or id. The
            guide's dialect knows neither and keeps it in the notes.
        address_lines: what line1 to line4 of an address hold, empty for nothing; None: as the dialect has it, with the
            city in line3 and the region in line4, or for the guide's dialect the city in line4. What has no line is not
            written.
        customer_group: the top level that new clients belong to; None: the one that most clients have.
        billing_periods: words for how often is billed, and the numbers that HaloPSA has for them.
    """

    external_key: Annotated[str, AfterValidator(_client_key)] = "ref"
    address_lines: tuple[AddressPart, ...] | None = None
    customer_group: CustomerGroup | None = None
    billing_periods: dict[Text, int] = Field(default_factory=lambda: {"monthly": 2})

    @property
    def places(self) -> dict[str, str] | None:
        """The line on which each part of an address stands; None: as the dialect has it."""
        if self.address_lines is None:
            return None
        return {part: f"line{number}" for number, part in enumerate(self.address_lines, 1) if part}

    @field_validator("address_lines")
    @classmethod
    def _four_lines(cls, lines: tuple[AddressPart, ...] | None) -> tuple[AddressPart, ...] | None:
        held = [line for line in lines or () if line]
        if lines is not None and (len(lines) != ADDRESS_LINES or len(held) != len(set(held)) or "line1" not in held):
            raise ValueError("must say what the four lines hold, line1 among it and nothing twice")
        return lines


class Names(Section):
    """When two spellings are one name, and two names one client.

    Attributes:
        legal_forms: words that do not count at the end of a company's name, normalised.
        similarity: from how many per cent two names are so alike that a person should look.
        shared_domains: e-mail domains that many companies share, which therefore prove nothing.
    """

    legal_forms: tuple[Annotated[Text, AfterValidator(normalised_name)], ...] = LEGAL_FORMS
    similarity: int = Field(default=90, ge=50, le=100)
    shared_domains: tuple[Annotated[Text, StringConstraints(to_lower=True)], ...] = SHARED_DOMAINS


class Clients(Section):
    """How a client's data becomes HaloPSA's.

    Attributes:
        account_managers: the CRM's owner, by e-mail address, and the agent who manages the account, by e-mail address,
            name or id. An owner who is not here is the agent with the same address.
        default_account_manager: the agent where no other is found; None: none.
        types: an event's `client.type` and HaloPSA's customer type for it; one that is not here is looked for by its
            own name.
        relationships: the same for HaloPSA's customer relationship.
        default_type: the type of a client whose event names none.
        custom_fields: what custom fields of clients are set to.
    """

    account_managers: dict[Text, Agent] = Field(default_factory=dict)
    default_account_manager: Agent | None = None
    types: dict[Text, CustomerType] = Field(default_factory=dict)
    relationships: dict[Text, Relationship] = Field(default_factory=dict)
    default_type: Text = "Customer"
    custom_fields: dict[Annotated[CustomField, ListedAs("custom field of clients")], FieldValue] = Field(
        default_factory=dict
    )

    def account_manager(self, owner: str) -> int | str:
        """Say which agent manages the accounts of one of the CRM's owners, given and by default by e-mail address."""
        return _entry(self.account_managers, owner) or owner

    def customer_type(self, word: str) -> int | str:
        """Say which customer type stands for an event's `client.type`, which may be empty."""
        return _entry(self.types, word or self.default_type) or word or self.default_type

    def relationship(self, word: str) -> int | str:
        """Say which customer relationship stands for an event's `client.type`, which may be empty."""
        return _entry(self.relationships, word or self.default_type) or word or self.default_type


def _entry(table: Mapping[str, int | str], word: str) -> int | str | None:
    """Look a word up, upper and lower case alike."""
    return {name.casefold(): entry for name, entry in table.items()}.get(word.strip().casefold())


class Contacts(Section):
    """How a contact's data becomes HaloPSA's.

    Attributes:
        portal_access_level: HaloPSA's access level of a contact whose event asks for portal access.
        custom_fields: what custom fields of contacts are set to.
    """

    portal_access_level: Id = 1
    custom_fields: CustomFields = Field(default_factory=dict)


class TypeRules(Section):
    """What tickets of one type need.

    Attributes:
        open_fields: fields by HaloPSA's names that are set when Parhelion opens one.
        close_fields: fields that are set when Parhelion closes one.
        closed_status: the status that closes one, where the type has its own.
    """

    open_fields: dict[Text, FieldValue] = Field(default_factory=dict)
    close_fields: dict[Text, FieldValue] = Field(default_factory=dict)
    closed_status: Status | None = None
