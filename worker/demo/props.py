"""What the demo plays with: secrets, the CRM's records, and the two deliveries; the same at every demo of a folder."""

import json
import secrets
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr
from starlette.datastructures import Headers

from webhooks.delivery import Delivery
from webhooks.sending import json_body
from webhooks.signatures import sign_standard
from webhooks.sources.hubspot import TIMESTAMP, V3, sign_v3
from worker.assemble.crms import NEEDED
from worker.assemble.web import public_url
from worker.settings import Settings

PORTAL: Final = 62515
"""The look-alike's, as its records below are."""
DEAL: Final = "18342601337"
COMPANY: Final = "9045672210"
CUSTOMER_FOR: Final = timedelta(days=300)


@dataclass(frozen=True, slots=True)
class Props:
    """What a data directory keeps of its first demo.

    Attributes:
        secrets: the webhook secrets by source.
        won_at: when HubSpot told of the deal (UTC).
    """

    secrets: Mapping[str, str]
    won_at: datetime


def kept_props(data_dir: Path) -> Props:
    """Give the props of a data directory; made at its first demo, so that a second one repeats it."""
    path = data_dir / "demo-props.json"
    if not path.exists():
        path.touch(mode=0o600)
        made = {
            "secrets": {
                "standard": "whsec_" + b64encode(secrets.token_bytes(32)).decode(),
                "token": secrets.token_urlsafe(24),
                "hubspot": secrets.token_urlsafe(24),
            },
            "won_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        path.write_text(json.dumps(made))
    kept = json.loads(path.read_text())
    return Props(kept["secrets"], datetime.fromisoformat(kept["won_at"]))


def equip(found: Settings, look_alike: str, props: Props, listening: tuple[str, int]) -> Settings:
    """Point the settings at the look-alikes of HaloPSA and HubSpot, and at nobody else.

    Args:
        found: the environment's.
        look_alike: the address of both.
        props: hold the webhook secrets.
        listening: host and port of the web endpoint.
    """
    no_crm = {name: None for name in Settings.model_fields if name.partition("_")[0] in NEEDED}
    return found.model_copy(
        update=no_crm
        | {
            "web_bind": listening,
            "public_url": public_url(found.model_copy(update={"web_bind": listening, "public_url": None})),
            "channel_zoho": None,
            "alert_url": None,
            "alert_secret": None,
            "rmm_webhook_url": None,
            "accounts": {},
            "allowed_addresses": {},
            "halo_url": look_alike,
            "halo_auth_url": None,
            "halo_client_id": "parhelion",
            "halo_client_secret": SecretStr("sandbox-secret"),
            "hubspot_url": f"{look_alike}/hubspot",
            "hubspot_token": SecretStr("sandbox-token"),
            "webhook_secrets": {source: (SecretStr(secret),) for source, secret in props.secrets.items()},
        }
    )


def hubspot_records(props: Props) -> Mapping[str, Any]:
    """Make what stands in HubSpot: the won deal, its company, contact, owner and line item."""
    records: dict[str, Any] = json.loads(_read("workflows.sandbox.crm", "acme.json"))
    (deal,) = records["hubspot.deals"]
    deal["properties"] |= {
        "closedate": (props.won_at - CUSTOMER_FOR).isoformat(),
        "hs_lastmodifieddate": props.won_at.isoformat(),
    }
    return records


def won_deal(props: Props, url: str) -> Delivery:
    """Make HubSpot's delivery: the deal's id, and that its stage has changed.

    Args:
        props: hold the secret.
        url: where to.
    """
    now = datetime.now(UTC)
    told = {
        "eventId": 1,
        "portalId": PORTAL,
        "objectId": int(DEAL),
        "subscriptionType": "deal.propertyChange",
        "propertyName": "dealstage",
        "propertyValue": "closedwon",
        "occurredAt": int(props.won_at.timestamp() * 1000),
    }
    stamp = str(int(now.timestamp() * 1000))
    unsigned = Delivery(Headers(), json_body([told]), now, url)
    signature = sign_v3(props.secrets["hubspot"], unsigned, url, stamp)
    headers = Headers({"content-type": "application/json", TIMESTAMP: stamp, V3: signature})
    return Delivery(headers, unsigned.body, now, url)


def churn(props: Props, url: str) -> Delivery:
    """Make a Standard Webhooks delivery: the same client has left, and yesterday was its last day of service.

    Args:
        props: hold the secret.
        url: where to.
    """
    now = datetime.now(UTC)
    event = json.loads(_read(__package__, "client-churned.json"))
    noticed = props.won_at + timedelta(seconds=1)
    event["timestamp"] = noticed.isoformat()
    event["source"] = {"system": "hubspot", "account": str(PORTAL)}
    event["data"]["client"]["id"] = COMPANY
    event["data"] |= {
        "notice_on": (noticed - timedelta(days=30)).date().isoformat(),
        "last_service_day": (noticed - timedelta(days=1)).date().isoformat(),
    }
    body = json_body(event)
    headers = sign_standard(props.secrets["standard"], "demo-client-churned", now, body)
    return Delivery(Headers(headers | {"content-type": "application/json"}), body, now, url)


def _read(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text(encoding="utf-8")
