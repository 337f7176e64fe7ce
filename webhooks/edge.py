"""What is decided about a sender before and beside its proof: where it calls from, and how often it may."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from uuid import UUID

from starlette.requests import HTTPConnection

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

WITH_PORT: Final = re.compile(r"\[([0-9a-fA-F:.]+)\](?::[0-9]+)?|([0-9.]+):[0-9]+")
BURST_S: Final = 10
"""How many seconds' worth of deliveries may come at once."""


def read_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Read addresses and networks (``192.0.2.7``, ``10.0.0.0/8``, ``2001:db8::/32``).

    Raises:
        ValueError: one of them is neither.
    """
    return tuple(ip_network(text.strip(), strict=False) for text in texts)


def client_address(request: HTTPConnection, trusted: Sequence[Network]) -> Address | None:
    """Find out where a request comes from.

    Args:
        request: the request.
        trusted: proxies whose ``X-Forwarded-For`` is believed; anybody else's is not looked at.

    Returns:
        The nearest address that is no trusted proxy's; None where there is none (a Unix socket).
    """
    hops = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    nearest = request.client.host if request.client else ""
    address = None
    for text in (nearest, *reversed(hops)):
        hop = _read_address(text)
        if hop is None:
            return address
        address = hop
        if not is_within(hop, trusted):
            return address
    return address


def is_within(address: Address | None, networks: Sequence[Network]) -> bool:
    """Say whether an address lies in one of the networks."""
    return address is not None and any(address in network for network in networks)


@dataclass(slots=True)
class RateLimit:
    """How many deliveries of each source something is done with by this process; a burst may have ten seconds' worth.

    Args:
        per_second: how many, or None for as many as come.
        clock: seconds that only go forward.
    """

    per_second: float | None
    clock: Callable[[], float]
    _used: dict[str, tuple[float, float]] = field(default_factory=dict)

    def wait_s(self, source: str) -> float:
        """Count one delivery; returns 0, or the seconds after which it may come again if it is too many."""
        if self.per_second is None:
            return 0
        now = self.clock()
        used, since = self._used.get(source, (0.0, now))
        used = max(0.0, used - (now - since) * self.per_second)
        most = max(1.0, self.per_second * BURST_S)
        if used + 1 > most:
            self._used[source] = used, now
            return (used + 1 - most) / self.per_second
        self._used[source] = used + 1, now
        return 0


@dataclass(frozen=True, slots=True)
class Edge:
    """What the operator has set about senders.

    Attributes:
        public_url: the address that senders have, without ``/webhooks``; signed addresses are built from it, never from
            what a request says of itself.
        trusted_proxies: whose ``X-Forwarded-For`` is believed.
        allowed: by source, the networks it may call from; a source that is not named may from anywhere.
        accounts: by source, the portals, companies or organisations whose records count; for a source that is not named
            all do, and so do records whose sender does not say whose they are.
        per_second: how many proven deliveries per second a source may bring to this process; None for any number.
        body_within_s: seconds that a body may take to come.
        stored_within_s: seconds that storing may take: HubSpot and others wait five for an answer.
    """

    public_url: str = ""
    trusted_proxies: tuple[Network, ...] = ()
    allowed: Mapping[str, tuple[Network, ...]] = field(default_factory=dict)
    accounts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    per_second: float | None = None
    body_within_s: float = 10
    stored_within_s: float = 4


def plain_account(account: str, length: int | None) -> str:
    """Write an account's id in one form: GUIDs come in either case, with braces or without.

    Args:
        account: the id.
        length: how many characters count; None for all.
    """
    try:
        return str(UUID(account))
    except ValueError:
        return account[:length]


def _read_address(text: str) -> Address | None:
    # Some proxies (Azure's gateway) add the port.
    found = WITH_PORT.fullmatch(text.strip())
    try:
        address = ip_address(found[1] or found[2] if found else text.strip())
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
