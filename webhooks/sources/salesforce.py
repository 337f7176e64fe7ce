"""Salesforce: Outbound Messages (XML, proven by the address) and HTTP callouts of flows (JSON, proven by a header).

Messages, acknowledgement and retries: developer.salesforce.com, SOAP API guide, "Outbound Messaging".
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from starlette.datastructures import Headers
from starlette.responses import Response

from webhooks.changes import Change, as_text, change_event, content_key, scalars
from webhooks.credentials import any_text, check_shared_secret
from webhooks.delivery import Delivery, Ignored, Source, accepted
from webhooks.sending import uuid_of, zulu
from worker.events import Event, read_json, read_time

MEDIA_TYPE: Final = re.compile(r"(?:text|application)/xml|application/(?:[^\s;/]+\+)?json|application/soap\+xml")
ENVELOPE: Final = "http://schemas.xmlsoap.org/soap/envelope/"
OUTBOUND: Final = "http://soap.sforce.com/2005/09/outbound"
INSTANCE: Final = "http://www.w3.org/2001/XMLSchema-instance"
ACK: Final = (
    f'<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="{ENVELOPE}"><soapenv:Body>'
    f'<notificationsResponse xmlns="{OUTBOUND}"><Ack>true</Ack></notificationsResponse>'
    "</soapenv:Body></soapenv:Envelope>"
)
"""With status 200 the only success; anything else is sent again for a day."""
PREFIXES: Final = {"006": "opportunity", "800": "contract", "001": "account"}
"""What an id's first three characters say about its record."""
ID_NAMES: Final = frozenset({"id", "recordid", "opportunityid"})
"""What administrators call a record's id in a callout, in whatever letter case."""
ORGANISATION_LENGTH: Final = 15
"""The rest of an id is a checksum, which some places leave out."""


def events(delivery: Delivery) -> Sequence[Event | Ignored]:
    """Read the notifications of an Outbound Message, or the records of a flow's callout.

    The session id of a message is a key to the organisation: it is not read.
    """
    return _message(delivery) if _is_xml(delivery) else _callout(delivery)


def success(delivery: Delivery, answer: Mapping[str, Any]) -> Response:
    """Acknowledge a message in its own words, a callout in JSON."""
    return Response(ACK, 200, media_type="text/xml") if _is_xml(delivery) else accepted(delivery, answer)


def _is_xml(delivery: Delivery) -> bool:
    return "xml" in delivery.headers.get("content-type", "").partition(";")[0].lower()


def _message(delivery: Delivery) -> Sequence[Event | Ignored]:
    try:
        envelope = fromstring(delivery.body, forbid_dtd=True)
    except DefusedXmlException as error:
        raise ValueError("the body holds a DTD, an entity or a reference") from error
    except (ParseError, LookupError) as error:
        raise ValueError("the body is not well-formed XML") from error
    message = envelope.find(f"{{{ENVELOPE}}}Body/{{{OUTBOUND}}}notifications")
    if envelope.tag != f"{{{ENVELOPE}}}Envelope" or message is None:
        raise ValueError("the body must be a SOAP envelope with notifications")
    organisation = _text(message, "OrganizationId")
    return [_notification(delivery, organisation, one) for one in message.iterfind(f"{{{OUTBOUND}}}Notification")]


def _notification(delivery: Delivery, organisation: str, notification: Element) -> Event | Ignored:
    record = notification.find(f"{{{OUTBOUND}}}sObject")
    if record is None:
        return Ignored("a notification without an sObject")
    kind = record.get(f"{{{INSTANCE}}}type", "").rpartition(":")[2].lower()
    values = {field.tag.rpartition("}")[2]: field.text for field in record}
    identity, key = values.pop("Id", None) or "", _text(notification, "Id")
    if kind not in PREFIXES.values():
        return Ignored(f"{kind or 'a record'}: such records start nothing")
    if not identity or not key:
        return Ignored(f"{kind}: the notification or its record has no Id")
    return change_event("salesforce", delivery, _change(kind, identity, [organisation, key], organisation, values))


def _callout(delivery: Delivery) -> Sequence[Event | Ignored]:
    body = read_json(delivery.body)
    if not isinstance(body, dict):
        raise ValueError("the body must be a JSON object")
    organisation = as_text(body.get("organizationId") or body.get("OrganizationId"))
    records = [record for record in _records(body) if _kind(record)]
    if not records:
        return [Ignored("a callout without the Id of an opportunity, a contract or an account")]
    # A flow is about records of one kind; those of others are sent along with them.
    about = min((_kind(record) for record in records), key=list(PREFIXES.values()).index)
    chosen = {_id(record): record for record in records if _kind(record) == about}
    return [_called(delivery, record, organisation) for record in chosen.values()]


def _records(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Give the body, the objects in it, and those in its lists."""
    yield body
    for inner in body.values():
        for one in inner if isinstance(inner, list) else [inner]:
            if isinstance(one, dict):
                yield one


def _called(delivery: Delivery, record: Mapping[str, Any], organisation: str) -> Event:
    values = {name: value for name, value in record.items() if name.lower() not in ID_NAMES}
    timed = read_time(values.get("LastModifiedDate")) is not None
    key = [content_key(delivery, delivery.body, timed=timed), _id(record)]
    return change_event("salesforce", delivery, _change(_kind(record), _id(record), key, organisation, values))


def _change(kind: str, identity: str, key: list[str], organisation: str, values: Mapping[str, Any]) -> Change:
    return Change(
        object=kind,
        id=identity,
        change="changed",
        key=key,
        account=organisation,
        occurred_at=read_time(values.get("LastModifiedDate")),
        values=scalars(values),
    )


def _id(record: Mapping[str, Any]) -> str:
    return next((as_text(value) for name, value in record.items() if name.lower() in ID_NAMES and value), "")


def _kind(record: Mapping[str, Any]) -> str:
    return PREFIXES.get(_id(record)[:3], "")


def _text(element: Element, name: str) -> str:
    return (element.findtext(f"{{{OUTBOUND}}}{name}") or "").strip()


def sample(secret: str, url: str, now: datetime) -> Delivery:
    """Make an Outbound Message about a won opportunity, to the address that ends with the secret."""
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="{ENVELOPE}" xmlns:xsi="{INSTANCE}">'
        f'<soapenv:Body><notifications xmlns="{OUTBOUND}"><OrganizationId>00D7F00000107XsUAI</OrganizationId>'
        '<ActionId>04k7F0000008V3hQAE</ActionId><SessionId xsi:nil="true"/><Notification>'
        f"<Id>04l{uuid_of(now).replace('-', '')[:15]}</Id>"
        '<sObject xsi:type="sf:Opportunity" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">'
        "<sf:Id>0067F000003pmdQQAQ</sf:Id><sf:AccountId>0017F000007ydJgQAI</sf:AccountId><sf:IsWon>true</sf:IsWon>"
        f"<sf:LastModifiedDate>{zulu(now)}</sf:LastModifiedDate><sf:Name>Edge Installation</sf:Name>"
        "</sObject></Notification></notifications></soapenv:Body></soapenv:Envelope>"
    )
    path, mark, query = url.partition("?")
    address = f"{path.rstrip('/')}/{quote(secret, safe='')}{mark}{query}"
    return Delivery(Headers({"content-type": "text/xml; charset=utf-8"}), body.encode(), now, address)


source = Source(
    "salesforce",
    check_shared_secret,
    events,
    any_text,
    sample,
    media_type=MEDIA_TYPE,
    by_address=True,
    success=success,
    busy_status=503,
    refuses_other_accounts=True,
    account_length=ORGANISATION_LENGTH,
)
