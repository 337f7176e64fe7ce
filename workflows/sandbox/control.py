"""The sandbox's own door: look at the state, plant records, switch faults, begin anew."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from workflows.sandbox.answers import Refused
from workflows.sandbox.faults import Faults
from workflows.sandbox.halopsa.dialects import DIALECTS
from workflows.sandbox.sandbox import Sandbox


def control_routes(sandbox: Sandbox) -> list[Route]:
    """The routes below ``/sandbox``: state, requests, answers, faults, seed and reset."""
    control = _Control(sandbox)
    return [
        Route("/state", control.state, methods=["GET"]),
        Route("/requests", control.requests, methods=["GET"]),
        Route("/answers", control.answers, methods=["GET"]),
        Route("/faults", control.faults, methods=["GET"]),
        Route("/faults", control.switch, methods=["POST"]),
        Route("/seed", control.seed, methods=["POST"]),
        Route("/reset", control.reset, methods=["POST"]),
    ]


class _Control:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def state(self, _request: Request) -> JSONResponse:
        return JSONResponse(self._sandbox.state())

    async def requests(self, request: Request) -> JSONResponse:
        """How often each request arrived; with ``detail=true`` the latest requests one by one."""
        if request.query_params.get("detail") == "true":
            return JSONResponse([noted._asdict() for noted in self._sandbox.log])
        return JSONResponse(dict(self._sandbox.requests))

    async def answers(self, _request: Request) -> JSONResponse:
        return JSONResponse(dict(self._sandbox.answers))

    async def faults(self, _request: Request) -> JSONResponse:
        injector = self._sandbox.injector
        return JSONResponse(injector.faults.model_dump(mode="json") | {"happened": dict(injector.happened)})

    async def switch(self, request: Request) -> JSONResponse:
        """Change the named switches and leave the others as they are.

        With ``unpleasant`` the others begin anew: true as in `Faults.unpleasant`, false as in a fresh sandbox.
        """
        changes = await _json_object(request)
        try:
            before = self._beginning(changes.pop("unpleasant", None))
            self._sandbox.faults = Faults.model_validate(before.model_dump() | changes)
        except ValueError as error:
            raise HTTPException(400, str(error)) from error
        return await self.faults(request)

    def _beginning(self, unpleasant: object) -> Faults:
        match unpleasant:
            case None:
                return self._sandbox.faults
            case True:
                return Faults.unpleasant()
            case False:
                return Faults()
        raise ValueError("unpleasant: must be true or false")

    async def seed(self, request: Request) -> JSONResponse:
        """Plant records by entity; answers their ids by entity."""
        planted: dict[str, list[object]] = {}
        try:
            for entity, records in (await _json_object(request)).items():
                planted[entity] = [self._sandbox.plant(entity, record) for record in records]
        except (ValueError, KeyError, TypeError, Refused) as error:
            raise HTTPException(400, str(error)) from error
        self._sandbox.save()
        return JSONResponse(planted)

    async def reset(self, request: Request) -> JSONResponse:
        """Begin anew, in another dialect if the body names one: ``{"dialect": "guide"}``."""
        dialect = (await _json_object(request)).get("dialect") if await request.body() else None
        if dialect not in (None, *DIALECTS):
            raise HTTPException(400, f"dialect: must be one of {', '.join(DIALECTS)}")
        self._sandbox.reset(dialect)
        return JSONResponse({"dialect": self._sandbox.dialect})


async def _json_object(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError as error:
        raise HTTPException(400, "the body is not JSON") from error
    if not isinstance(body, dict):
        raise HTTPException(400, "the body must be a JSON object")
    return body
