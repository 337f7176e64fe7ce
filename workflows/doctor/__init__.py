"""A preflight of a HaloPSA tenant: what works, what would fail at which step, and how to mend it."""

from workflows.doctor.examination import Check, Examination, Finding, State, Verdict
from workflows.doctor.patient import Patient
from workflows.doctor.put_away import PUT_AWAY
from workflows.doctor.reads import READ_CHECKS
from workflows.doctor.setup import SETUP_CHECKS
from workflows.doctor.sign_in import SIGN_IN_CHECKS
from workflows.doctor.ticket_types import TICKET_TYPES
from workflows.doctor.trial import Trial
from workflows.doctor.writes import WRITE_CHECKS

__all__ = [
    "WRITE_CHECKS",
    "Check",
    "Examination",
    "Finding",
    "Patient",
    "State",
    "Trial",
    "Verdict",
    "examine_tenant",
    "try_writes",
]


async def examine_tenant(patient: Patient, examination: Examination) -> None:
    """Make all checks that write nothing."""
    await examination.run(SIGN_IN_CHECKS, patient)
    examination.granted = patient.granted
    await examination.run([*READ_CHECKS, *SETUP_CHECKS, TICKET_TYPES], patient)


async def try_writes(trial: Trial, examination: Examination) -> None:
    """Make all checks that write, and put away what they made."""
    try:
        await examination.run(WRITE_CHECKS, trial)
    finally:
        await examination.run([PUT_AWAY], trial)
