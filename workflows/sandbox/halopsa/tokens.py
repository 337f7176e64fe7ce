"""The token endpoint: OAuth2 client credentials."""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import parse_qsl

from workflows.sandbox.answers import Answer, Refused, json_answer
from workflows.sandbox.faults import Faults
from workflows.sandbox.halopsa.permissions import SCOPES, Grant

TENANT = "sandbox"
LIFETIME_S = 3600


class Tokens:
    """The access tokens of one API application.

    Args:
        client_id: the application's id.
        client_secret: the application's secret.
        clock: returns the present time (aware, UTC).
        faults: returns the switches: which scopes there are, and who the application logs in as.
    """

    def __init__(
        self, client_id: str, client_secret: str, clock: Callable[[], datetime], faults: Callable[[], Faults]
    ) -> None:
        self._client_id = client_id
        self._client_secret = client_secret
        self._clock = clock
        self._faults = faults
        self._granted: dict[str, tuple[datetime, Grant]] = {}

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
        return json_answer(200, self._issue(self._checked_scope(form.get("scope", ""))))

    def grant_of(self, authorization: str) -> Grant | None:
        """What the token in an ``Authorization`` header stands for; None if there is none that has not expired."""
        scheme, _, token = authorization.partition(" ")
        expiry, grant = self._granted.get(token, (None, None))
        return grant if scheme.lower() == "bearer" and expiry is not None and self._clock() < expiry else None

    def revoke_all(self) -> None:
        """Make every token that was granted so far invalid."""
        self._granted.clear()

    def _issue(self, scope: str) -> dict[str, object]:
        token = secrets.token_urlsafe(32)
        faults = self._faults()
        grant = Grant(frozenset(scope.split()), faults.role, faults.login_type == "agent")
        self._granted[token] = (self._clock() + timedelta(seconds=LIFETIME_S), grant)
        return {
            "scope": scope,
            "token_type": "Bearer",
            "access_token": token,
            "expires_in": LIFETIME_S,
            "refresh_token": secrets.token_urlsafe(16),
            "id_token": secrets.token_urlsafe(16),
        }

    def _checked_scope(self, scope: str) -> str:
        allowed = self._faults().allowed_scopes
        # One scope that is not known or not allowed refuses the whole request.
        if not scope or not set(scope.split()) <= (SCOPES if allowed is None else SCOPES & allowed):
            raise Refused(
                {"error": "invalid_scope", "error_description": "The specified 'scope' parameter is not valid."}
            )
        return scope
