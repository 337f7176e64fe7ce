"""The forms in which HaloPSA says no."""

from collections.abc import Callable

from workflows.sandbox.answers import Answer, Refused
from workflows.sandbox.halopsa.call import Call
from workflows.sandbox.halopsa.entity import Manner

_FORMS: dict[str, Callable[[str], object]] = {
    "string": str,
    "message": lambda text: {"Message": text},
    "exception": lambda text: {"ClassName": "System.Exception", "Message": text},
    "result": lambda text: {"resultCode": 1, "errorMessage": text},
    "error": lambda text: {"error": "invalid_request", "error_description": text},
}
_IN_TURN = (*_FORMS, "text")


def refusal_answer(call: Call, manner: Manner, refusal: Refused) -> Answer:
    """A refusal as it goes out: its text in the form of the dialect or of the tenant, any other body as it is."""
    text = refusal.body
    if not isinstance(text, str):
        return refusal.answer()
    if manner.refusal:
        return Refused(manner.refusal(text), refusal.status).answer()
    chosen = call.faults.refusal_form
    form = _IN_TURN[call.number % len(_IN_TURN)] if chosen == "mixed" else chosen
    if form in _FORMS:
        return Refused(_FORMS[form](text), refusal.status).answer()
    return Answer(refusal.status, b"" if form == "empty" else text.encode(), "text/plain; charset=utf-8")
