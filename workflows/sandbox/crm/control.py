"""The CRMs' own door: look at their records and their requests, switch their faults."""

from collections.abc import Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Mount, Route

from workflows.sandbox.crm.crms import Crms, SwitchedFaults
from workflows.sandbox.crm.dynamics import dynamics
from workflows.sandbox.crm.hubspot import hubspot
from workflows.sandbox.crm.pipedrive import pipedrive
from workflows.sandbox.crm.salesforce import salesforce
from workflows.sandbox.crm.zoho import zoho


def crm_routes(crms: Callable[[], Crms]) -> list[BaseRoute]:
    """The CRMs below their words, and ``/sandbox/crm`` to look at them.

    Args:
        crms: gives the present ones; a reset of the sandbox makes new ones.
    """
    makers = (hubspot, pipedrive, salesforce, dynamics, zoho)
    control = _Control(crms)
    return [
        *(Mount(f"/{maker.__name__}", maker(crms)) for maker in makers),
        Route("/sandbox/crm", control.state, methods=["GET"]),
        Route("/sandbox/crm/requests", control.requests, methods=["GET"]),
        Route("/sandbox/crm/faults", control.switch, methods=["POST"]),
    ]


class _Control:
    def __init__(self, crms: Callable[[], Crms]) -> None:
        self._crms = crms

    async def state(self, _request: Request) -> JSONResponse:
        return JSONResponse(self._crms().state())

    async def requests(self, _request: Request) -> JSONResponse:
        return JSONResponse(dict(self._crms().requests))

    async def switch(self, request: Request) -> JSONResponse:
        """Set the faults of every CRM anew; those that are not named have none."""
        try:
            self._crms().faults = SwitchedFaults.model_validate_json(await request.body())
        except ValueError as error:
            raise HTTPException(400, str(error)) from error
        return JSONResponse(self._crms().faults.model_dump(mode="json"))
