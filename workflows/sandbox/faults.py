"""What goes wrong, by switch: every misbehaviour that the look-alikes can show."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Access = Literal["none", "read", "modify"]


class RateLimit(BaseModel):
    """At most `requests` in a rolling window of `window_s` seconds."""

    model_config = ConfigDict(extra="forbid")

    requests: int = Field(default=300, ge=1)
    window_s: float = Field(default=300, gt=0)


class Role(BaseModel):
    """What the agent that the application logs in as may do.

    Attributes:
        customers: clients, sites and the notes on them.
        users: contacts.
        tickets: tickets and their actions.
        opportunities: opportunities.
        contracts: contracts; without it their list can be read all the same, as in HaloPSA.
        invoices: recurring invoices.
        assets: assets.
        webhooks: webhooks, their log and notifications.
        sees_unassigned: whether tickets that nobody is assigned to exist for the agent.
        sees_others: whether tickets that others are assigned to exist for the agent.
        may_reassign: whether the agent may give a ticket to somebody else.
        may_close: whether the agent may close tickets.
        may_edit_closed: whether the agent may change closed tickets.
    """

    model_config = ConfigDict(extra="forbid")

    customers: Access = "modify"
    users: Access = "modify"
    tickets: Access = "modify"
    opportunities: Access = "modify"
    contracts: Access = "modify"
    invoices: Access = "modify"
    assets: Access = "modify"
    webhooks: Access = "modify"
    sees_unassigned: bool = True
    sees_others: bool = True
    may_reassign: bool = True
    may_close: bool = True
    may_edit_closed: bool = True


class Faults(BaseModel):
    """The switches; assigning to one takes effect with the next request.

    Attributes:
        post_answer: how a POST answers: the object, an array of one, the list's envelope, or each of them in turn.
        post_status: the status of a POST that did its work.
        arrays: whether a POST takes more than one record; if not, it is refused with 400.
        array_cap: records in one POST at most; more are refused with 400. None for no limit.
        array_refusal: which others of its POST are written when a record is refused: none (``whole``), those before it
            (``partial``), or all (``each``); the answer is the refusal.
        refusal_form: how the text of a refusal is sent: as a JSON string, in one of HaloPSA's error objects, as plain
            text, not at all (``empty``), or in each of these but the last in turn. The guide's form is always its own.
        page_cap: rows on one page at most.
        record_count: what lists say of the number of rows: the truth, nothing, too many, or too few (this page's).
        shift_rows: rows shift between pages: each page after the first begins with the last row of the one before.
        float_ids: whether some ids come as ``29.0``.
        mixed_ids: whether ids come as ``29``, ``29.0``, ``"29"`` and ``"29.0"`` in turn.
        ignore: query names that are ignored, so that more rows come back than were asked for.
        ignore_search: ``search`` finds everything.
        lose_ids: share of the writes that are done and answered without the record's id.
        warnings: writes are done, and their answers hold a ``_warning``.
        drop_fields: fields that writes lose without a word: ``ClientContract.end_date``.
        refuse_inactive_writes: an inactive client takes no writes but the one that makes it active again.
        main_contact_required: a client is not made without a first contact, where the dialect can name one.
        strict_close: a ticket's status changes only if its type and client are sent along.
        refuse_unassigned: a ticket that nobody is assigned to does not close.
        refuse_open_children: a ticket with open children does not close, if its type says so.
        closing_mails: closing a ticket mails its user unless ``dont_do_rules`` is sent.
        latency_ms: milliseconds before a request is looked at.
        search_latency_ms: milliseconds more before a request with a ``search``.
        rate_limit: answers 429 beyond it.
        retry_after: a 429 says in Retry-After how many seconds to wait.
        lose_answers: share of the writes that are done and then the connection drops without an answer.
        fail_before: share of the requests that get a 500 or 502 in HTML, and nothing is done.
        fail_after: share of the writes that are done and get a 500 or 502 in HTML.
        drop_nth: numbers of requests (all below ``/api``, from 1) that are done and then the connection drops.
        fail_nth: numbers of requests that get a 500 or 502 and nothing is done.
        limit_nth: numbers of requests that get a 429 and nothing is done.
        expire_nth: numbers of requests before which all tokens become invalid.
        expire_tokens: makes all tokens invalid at the next request, and falls back to false.
        refuse: requests that are refused with 400, and the text: ``{"POST /api/ClientContract": "No such type"}``.
        forbid: requests that the application may not make: ``POST /api/CRMNote``; they get an empty 403.
        deny: requests that get a 401 for want of rights: ``GET /api/ClientContract/{id}``.
        allowed_scopes: the scopes that the application may ask for; None for all that there are.
        login_type: ``agent``, or ``none`` where no agent was chosen for the application.
        role: of the agent that the application logs in as; a token keeps the one that it was granted under.
        seed: for the shares.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    post_answer: Literal["object", "array", "envelope", "mixed"] = "object"
    post_status: Literal[200, 201] = 201
    arrays: bool = True
    array_cap: int | None = Field(default=None, ge=1)
    array_refusal: Literal["whole", "partial", "each"] = "whole"
    refusal_form: Literal["string", "message", "exception", "result", "error", "text", "empty", "mixed"] = "string"
    page_cap: int = Field(default=100, ge=1)
    record_count: Literal["right", "missing", "high", "low"] = "right"
    shift_rows: bool = False
    float_ids: bool = True
    mixed_ids: bool = False
    ignore: frozenset[str] = frozenset()
    ignore_search: bool = False
    lose_ids: Share = 0
    warnings: bool = False
    drop_fields: frozenset[str] = frozenset()
    refuse_inactive_writes: bool = False
    main_contact_required: bool = False
    strict_close: bool = True
    refuse_unassigned: bool = True
    refuse_open_children: bool = True
    closing_mails: bool = True
    latency_ms: float = Field(default=0, ge=0)
    search_latency_ms: float = Field(default=0, ge=0)
    rate_limit: RateLimit | None = None
    retry_after: bool = False
    lose_answers: Share = 0
    fail_before: Share = 0
    fail_after: Share = 0
    drop_nth: frozenset[int] = frozenset()
    fail_nth: frozenset[int] = frozenset()
    limit_nth: frozenset[int] = frozenset()
    expire_nth: frozenset[int] = frozenset()
    expire_tokens: bool = False
    refuse: dict[str, str] = Field(default_factory=dict)
    forbid: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()
    allowed_scopes: frozenset[str] | None = None
    login_type: Literal["agent", "none"] = "agent"
    role: Role = Role()
    seed: int = 0

    @classmethod
    def unpleasant(cls, **more: Any) -> Self:
        """Everything at once that an integration can cope with by itself.

        What takes a person or a setting stays off: missing rights and scopes, a compulsory main contact, inactive
        clients that take no writes, fields that are dropped, counts of rows that are too low.

        Args:
            more: further switches, or other values for some.

        Raises:
            ValueError: a switch does not exist, or does not take the value.
        """
        return cls.model_validate(_UNPLEASANT | more)


_UNPLEASANT: dict[str, Any] = {
    "post_answer": "mixed",
    "post_status": 200,
    "arrays": False,
    "refusal_form": "mixed",
    "record_count": "missing",
    "shift_rows": True,
    "mixed_ids": True,
    "ignore": {
        "client_id",
        "site_id",
        "open_only",
        "inactive",
        "accountmanager_id",
        "hasusers",
        "emailaddress",
        "lastupdatefromdate",
    },
    "ignore_search": True,
    "lose_ids": 0.05,
    "warnings": True,
    "search_latency_ms": 5,
    "lose_answers": 0.05,
    "fail_before": 0.05,
    "fail_after": 0.05,
    "limit_nth": {7, 31},
    "expire_nth": {11, 43},
}
