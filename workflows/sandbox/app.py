"""The sandbox as one web server."""

from starlette.applications import Starlette
from starlette.routing import Mount, Route

from workflows.sandbox.control import control_routes
from workflows.sandbox.crm.control import crm_routes
from workflows.sandbox.halopsa.asgi import HaloPsa, TokenEndpoint
from workflows.sandbox.sandbox import Sandbox


def sandbox_app(sandbox: Sandbox) -> Starlette:
    """The sandbox as an ASGI app: HaloPSA under ``/api``, tokens at ``/auth/token``, control under ``/sandbox``.

    The CRMs stand under ``/hubspot``, ``/pipedrive``, ``/salesforce``, ``/dynamics`` and ``/zoho``.

    A connection that drops (`Faults.lose_answers`, `Faults.drop_nth`) ends after the head of the answer: a caller with
    httpx gets RemoteProtocolError from uvicorn, and ReadError from `httpx.ASGITransport`.
    """
    return Starlette(
        routes=[
            Mount("/api", HaloPsa(sandbox)),
            Route("/auth/token", TokenEndpoint(sandbox), methods=["POST"]),
            *crm_routes(lambda: sandbox.crms),
            Mount("/sandbox", routes=control_routes(sandbox)),
        ]
    )
