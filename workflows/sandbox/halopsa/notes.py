"""The notes that HaloPSA keeps on a client."""

from workflows.sandbox.answers import require
from workflows.sandbox.halopsa.reference import API_AGENT
from workflows.sandbox.halopsa.store import Record, Store


def create_note(store: Store, sent: Record) -> Record:
    """Add a note to a client.

    Raises:
        Refused: it has no client.
    """
    require(sent.get("client_id") in store["Client"], "Please select a valid Client")
    return store["CRMNote"].add({"note": "", "datetime": store.now(), "who_agentid": API_AGENT} | sent)


def update_note(store: Store, note: Record, sent: Record) -> None:
    """Change the sent fields of a note."""
    store["CRMNote"].change(note, sent)


def show_note(_store: Store, note: Record) -> Record:
    """A note as reads show it."""
    return note
