"""What an onboarding has done so far, kept for its report."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workflows.canonical import Contact, Site, normalised_name
from workflows.ensure import ClientRef, Ensured, Lack, Skippable
from workflows.ensure.standing import Standing
from workflows.report import Done, Line


@dataclass(slots=True)
class Ledger:
    """The records that one onboarding has ensured, and what became of each.

    What became of a record follows from what stood there before, not from the last try of its step.

    Attributes:
        client: the client.
        before: what stood under it; nothing where the run made it.
        lines: for the report, in order.
        remarks: what could not be set, and why.
    """

    client: ClientRef
    before: Standing = field(default_factory=Standing)
    lines: list[Line] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def add_client(self, lack: Lack) -> None:
        """Enter the client, with what was filled in of a known one."""
        self._add("client", self.client, self.client.name, made=self.client.created, changes=lack.changes)
        self.remarks += lack.remarks

    def add_main_site(self, site: Site | None, ensured: Ensured) -> None:
        """Enter the main site."""
        name = site.name if site else "main"
        self._add("site", ensured, name, made=not self.before.main_site, changes=ensured.changes)

    def add_site(self, site: Site, ensured: Skippable) -> None:
        """Enter a further site."""
        name, before = normalised_name(site.name), self.before
        reopened = name in before.closed_sites and name not in before.sites
        changes = {"inactive": (True, False)} if reopened else {}
        self._add("site", ensured, site.name, made=not reopened and name not in before.sites, changes=changes)

    def add_contact(self, contact: Contact, ensured: Skippable) -> None:
        """Enter a contact."""
        was_inactive = self.before.contacts.get(contact.key)
        changes = {"inactive": (True, False)} if was_inactive else {}
        self._add("contact", ensured, contact.name, made=was_inactive is None, changes=changes)

    def refuse(self, what: str, name: str, why: str) -> None:
        """Enter a record that HaloPSA does not take."""
        self.lines.append(Line(what=what, done="refused", name=name, why=why))
        self.remarks.append(f"{what} {name} left out: {why}")

    def add(self, what: str, ensured: Skippable, name: str) -> None:
        """Enter a record that the run alone can have made."""
        made, changes = bool(ensured and ensured.created), ensured.changes if ensured else {}
        self._add(what, ensured, name, made=made, changes=changes)

    def _add(
        self,
        what: str,
        ensured: Skippable,
        name: str,
        *,
        made: bool,
        changes: Mapping[str, tuple[Any, Any]] | None = None,
    ) -> None:
        if ensured is None:
            self.lines.append(Line(what=what, done="skipped", name=name, why="left out by an operator"))
            return
        done: Done = "made" if made else "changed" if changes else "found"
        shown = dict(changes) if changes and not made else {}
        self.lines.append(Line(what=what, done=done, ids=[ensured.id], name=name, changes=shown))
        self.remarks += ensured.remarks
