"""HubSpot: subscriptions of an app (signature v3, or v1) and the "send a webhook" action of workflows (v2).

Signatures, fields and retries: developers.hubspot.com, "Validating requests" and "Webhooks API". A delivery gives ids
and the changed property only; a stage's value is an internal id, so whether a deal is won shows when it is read.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote

from starlette.datastructures import Headers

from webhooks.changes import Change, as_text, change_event, content_key, from_milliseconds, scalars
from webhooks.credentials import any_text
from webhooks.delivery import Delivery, Ignored, NotProven, Source, TooOld, WrongScheme
from webhooks.forms import check_base64, check_hex, check_timestamp
from webhooks.sending import json_body
from webhooks.signatures import any_same
from worker.events import Event, read_json, read_time

V3: Final = "x-hubspot-signature-v3"
TIMESTAMP: Final = "x-hubspot-request-timestamp"
OLDER: Final = "x-hubspot-signature"
VERSION: Final = "x-hubspot-signature-version"
TOLERANCE_MS: Final = 300_000
"""HubSpot asks to refuse what is older; here it holds in both directions."""
DECODED: Final = re.compile(r"%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)
"""The only escapes that HubSpot decodes in an address before it signs."""
OBJECTS: Final = {"0-1": "contact", "0-2": "company", "0-3": "deal", "0-69": "subscription"}
RECORDS: Final = frozenset({"deal", "company", "subscription"})
"""The records that can start something."""
CHANGES: Final = {
    "creation": "created",
    "propertyChange": "changed",
    "deletion": "deleted",
    "privacyDeletion": "deleted",
    "restore": "restored",
    "merge": "merged",
}
DECIDING: Final = {
    "deal": frozenset({"dealstage", "pipeline", "hs_is_closed", "hs_is_closed_won", "hs_is_closed_lost"}),
    "subscription": frozenset({"hs_status"}),
}
"""The properties whose change can win or lose something; of a company any can, by policy."""
CONTACT: Final = frozenset({"email", "firstname", "lastname", "vid"})
"""Properties that only contacts have."""
STARTS_NOTHING: Final = frozenset({("company", "created"), ("subscription", "created")})


def verify(delivery: Delivery, secrets: Sequence[str]) -> None:
    """Prove the delivery by its strongest signature; a wrong v3 is not rescued by an older one beside it."""
    if V3 in delivery.headers or OLDER not in delivery.headers:
        _verify_v3(delivery, secrets)
    else:
        _verify_older(delivery, secrets)


def _verify_v3(delivery: Delivery, secrets: Sequence[str]) -> None:
    given = delivery.proof(V3)
    timestamp = delivery.proof(TIMESTAMP)
    check_base64(V3, given, hashlib.sha256().digest_size)
    check_timestamp(TIMESTAMP, timestamp, delivery.received_at, per_second=1000)
    if abs(int(timestamp) - delivery.received_at.timestamp() * 1000) > TOLERANCE_MS:
        text = f"{TIMESTAMP} is more than {TOLERANCE_MS // 1000} seconds away from the clock here"
        raise TooOld(text, from_milliseconds(timestamp))
    addresses = {delivery.url, DECODED.sub(lambda found: unquote(found[0]), delivery.url)}
    fitting = [sign_v3(secret, delivery, address, timestamp) for secret in secrets for address in addresses]
    if not any_same([given], fitting):
        raise NotProven(f"{V3} does not fit this method, address, body and timestamp")


def _verify_older(delivery: Delivery, secrets: Sequence[str]) -> None:
    given = delivery.proof(OLDER)
    match delivery.proof(VERSION).lower():
        case "v1":
            signed = delivery.body
        case "v2":
            signed = f"{delivery.method}{delivery.url}".encode() + delivery.body
        case _:
            raise WrongScheme(f"{VERSION} must be v1 or v2 where there is no {V3}")
    check_hex(OLDER, given, hashlib.sha256().digest_size)
    if not any_same([given.lower()], [hashlib.sha256(secret.encode() + signed).hexdigest() for secret in secrets]):
        raise NotProven(f"{OLDER} does not fit")


def sign_v3(secret: str, delivery: Delivery, address: str, timestamp: str) -> str:
    """Compute ``X-HubSpot-Signature-v3``.

    Args:
        secret: the app's client secret.
        delivery: gives method and body.
        address: the whole address, decoded as HubSpot does.
        timestamp: milliseconds since 1970, as sent.
    """
    signed = f"{delivery.method}{address}".encode() + delivery.body + timestamp.encode()
    return base64.b64encode(hmac.digest(secret.encode(), signed, hashlib.sha256)).decode()


def events(delivery: Delivery) -> Sequence[Event | Ignored]:
    """Read the batch of an app (up to 100 events, perhaps of several portals) or the record of a workflow."""
    body = read_json(delivery.body)
    if isinstance(body, dict) and not _kind(body):
        return [_workflow_record(delivery, body)]
    batch = body if isinstance(body, list) else [body]
    if not all(isinstance(one, dict) for one in batch):
        raise ValueError("the body must be a JSON array of events, or one record")
    return [_subscription_event(delivery, one) for one in batch]


def _kind(told: Mapping[str, Any]) -> str:
    # HubSpot's own sample says eventType where its deliveries say subscriptionType.
    return as_text(told.get("subscriptionType") or told.get("eventType"))


def _subscription_event(delivery: Delivery, told: Mapping[str, Any]) -> Event | Ignored:
    kind = _kind(told)
    family, _, what = kind.partition(".")
    record = OBJECTS.get(as_text(told.get("objectTypeId")), "other") if family == "object" else family
    name, portal = as_text(told.get("propertyName")), as_text(told.get("portalId"))
    change = CHANGES.get(what, "")
    # What a merge leaves may be a third record.
    identity = as_text(told.get("newObjectId") or told.get("primaryObjectId") or told.get("objectId"))
    if reason := _no_interest(record, change, name):
        return Ignored(f"{kind or 'an event without a type'}: {reason}")
    if not identity:
        return Ignored(f"{kind}: it names no record")
    count = (as_text(told.get(part)) for part in ("eventId", "occurredAt"))
    return change_event(
        "hubspot",
        delivery,
        Change(
            object=record,
            id=identity,
            change=change,
            # Its documentation says that eventId is not unique, and ids are so within a type only.
            key=[portal, kind, as_text(told.get("objectTypeId")), identity, name, *count],
            account=portal,
            occurred_at=from_milliseconds(told.get("occurredAt")),
            values=scalars({name: told.get("propertyValue")}) if name else {},
            details={"merged_ids": _merged(told, identity)} if change == "merged" else {},
        ),
    )


def _merged(told: Mapping[str, Any], identity: str) -> list[str]:
    ids = told.get("mergedObjectIds")
    found = [*map(as_text, ids if isinstance(ids, list) else ()), as_text(told.get("primaryObjectId"))]
    return [one for one in dict.fromkeys(found) if one not in {"", identity}]


def _no_interest(record: str, change: str, name: str) -> str:
    """Say why an event cannot start anything, or nothing."""
    if record not in RECORDS:
        return "such records start nothing"
    if not change:
        return "such changes start nothing"
    if (record, change) in STARTS_NOTHING:
        return "a new record starts nothing"
    deciding = DECIDING.get(record)
    if change == "changed" and deciding and name not in deciding:
        return "the property decides nothing"
    return ""


def _workflow_record(delivery: Delivery, record: Mapping[str, Any]) -> Event | Ignored:
    """Read the record that a workflow sends: as the object API gives it, or the properties that were chosen."""
    inner = record.get("properties")
    chosen = {**record, **(inner if isinstance(inner, dict) else {})}
    values = {name: value.get("value") if isinstance(value, dict) else value for name, value in chosen.items()}
    named = dict(delivery.query).get("objectTypeId")
    kind, identity = _workflow_object(values if named is None else {"objectTypeId": named, **values})
    if not kind:
        raise ValueError("the record's kind is unknown: put ?objectTypeId=0-3 (deal) or 0-2 (company) in the address")
    if kind not in RECORDS:
        return Ignored("a workflow's record that is neither a deal nor a company")
    if not identity:
        raise ValueError("the record has no id: let the workflow send hs_object_id")
    moment = read_time(values.get("updatedAt") or values.get("hs_lastmodifieddate"))
    return change_event(
        "hubspot",
        delivery,
        Change(
            object=kind,
            id=identity,
            change="changed",
            key=[content_key(delivery, delivery.body, timed=moment is not None)],
            account=as_text(values.get("portalId") or values.get("portal-id")),
            occurred_at=moment,
            values=scalars({name: values[name] for name in DECIDING["deal"] | {"lifecyclestage"} if name in values}),
        ),
    )


def _workflow_object(values: Mapping[str, Any]) -> tuple[str, str]:
    common = as_text(values.get("hs_object_id") or values.get("objectId") or values.get("id"))
    if "dealId" in values or {"dealstage", "dealname", "dealtype", "closedate"} & values.keys():
        return "deal", as_text(values.get("dealId")) or common
    if CONTACT & values.keys():
        return "contact", common
    if "companyId" in values or ({"domain", "lifecyclestage"} & values.keys()):
        return "company", as_text(values.get("companyId")) or common
    return OBJECTS.get(as_text(values.get("objectTypeId")), ""), common


def sample(secret: str, url: str, now: datetime) -> Delivery:
    """Make an app's delivery of one deal that moved to a stage, signed v3 and, as HubSpot does, v1."""
    stamp = str(int(now.timestamp() * 1000))
    ids = {"eventId": 1, "subscriptionId": 2351905, "portalId": 62515, "appId": 54321, "objectId": 18342601337}
    told = {"subscriptionType": "deal.propertyChange", "propertyName": "dealstage", "propertyValue": "closedwon"}
    moment = {"occurredAt": int(stamp), "attemptNumber": 0, "changeSource": "CRM_UI"}
    unsigned = Delivery(Headers(), json_body([{**told, **ids, **moment}]), now, url)
    signature = {TIMESTAMP: stamp, V3: sign_v3(secret, unsigned, url, stamp)}
    signature |= {VERSION: "v1", OLDER: hashlib.sha256(secret.encode() + unsigned.body).hexdigest()}
    return Delivery(Headers({"content-type": "application/json"} | signature), unsigned.body, now, url)


source = Source("hubspot", verify, events, any_text, sample, signs_body=True)
