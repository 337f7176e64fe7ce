"""A signed, realistic delivery of any source, to try an endpoint with."""

from datetime import datetime

from webhooks.delivery import Delivery
from webhooks.sources import find_source


def sample(source: str, secret: str, url: str, now: datetime) -> Delivery:
    """Make a sample.

    Args:
        source: the source's name.
        secret: what it is proven with.
        url: the source's address as the sender has it (``https://…/webhooks/{name}``).
        now: the time of sending (UTC); senders that sign it are refused five minutes later.

    Returns:
        The request to send: its method, url, headers and body.

    Raises:
        ValueError: there is no such source, or the secret cannot serve.
    """
    found = find_source(source)
    if problem := found.secret_problem(secret):
        raise ValueError(problem)
    return found.sample(secret, url, now)
