"""The token endpoint: OAuth2 client credentials."""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import parse_qsl

from workflows.sandbox.answers import Answer, Refused, json_answer

TENANT = "sandbox"
LIFETIME_S = 3600
_SCOPES = frozenset(
    {"all", "all:standard", "admin", "offline_access"}
    | {
        f"{verb}:{what}"
        for verb in ("read", "edit")
        for what in ("customers", "tickets", "assets", "crm", "contracts", "invoices", "items", "webhooks", "agents")
    }
)


class Tokens:
    """The access tokens of one API application.

    Args:
        client_id: the application's id.
        client_secret: the application's secret.
        clock: returns the present time (aware, UTC).
    """

    def __init__(self, client_id: str, client_secret: str, clock: Callable[[], datetime]) -> None:
        self._client_id = client_id
        self._client_secret = client_secret
        self._clock = clock
        self._expiries: dict[str, datetime] = {}

    def grant(self, query: bytes, content_type: str, body: bytes) -> Answer:
        """Answer a token request.

        Args:
            query: the query string; ``tenant`` may stand here or in the form.
            content_type: only a form is read.
            body: the request's body.

        Raises:
            Refused: by the rules of OAuth2; an unknown tenant is a 500 without a body.
        """
        if not content_type.startswith("application/x-www-form-urlencoded"):
            raise Refused({"error": "invalid_request"})
        form = dict(parse_qsl(query.decode())) | dict(parse_qsl(body.decode()))
        if form.get("tenant", TENANT) != TENANT:
            raise Refused(status=500)
        if form.get("grant_type") != "client_credentials":
            raise Refused({"error": "unsupported_grant_type"})
        if (form.get("client_id"), form.get("client_secret")) != (self._client_id, self._client_secret):
            raise Refused({"error": "invalid_client"}, 401)
        return json_answer(200, self._issue(_checked_scope(form.get("scope", ""))))

    def are_valid(self, authorization: str) -> bool:
        """Whether an ``Authorization`` header bears a token that has not expired."""
        scheme, _, token = authorization.partition(" ")
        expiry = self._expiries.get(token)
        return scheme.lower() == "bearer" and expiry is not None and self._clock() < expiry

    def revoke_all(self) -> None:
        """Make every token that was granted so far invalid."""
        self._expiries.clear()

    def _issue(self, scope: str) -> dict[str, object]:
        token = secrets.token_urlsafe(32)
        self._expiries[token] = self._clock() + timedelta(seconds=LIFETIME_S)
        return {
            "scope": scope,
            "token_type": "Bearer",
            "access_token": token,
            "expires_in": LIFETIME_S,
            "refresh_token": secrets.token_urlsafe(16),
            "id_token": secrets.token_urlsafe(16),
        }


def _checked_scope(scope: str) -> str:
    # One scope that is not known refuses the whole request.
    if not scope or not set(scope.split()) <= _SCOPES:
        raise Refused({"error": "invalid_scope", "error_description": "The specified 'scope' parameter is not valid."})
    return scope
