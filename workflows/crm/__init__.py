"""The CRMs: reading what a changed record means, and leaving a note on its deal."""

from workflows.crm.api import CrmDenied, CrmInDoubt, CrmRefused, CrmUnavailable, RecordGone
from workflows.crm.hubspot import HubSpot
from workflows.crm.hydrator import CrmHydrator
from workflows.crm.pipedrive import Pipedrive
from workflows.crm.records import Crm

__all__ = [
    "Crm",
    "CrmDenied",
    "CrmHydrator",
    "CrmInDoubt",
    "CrmRefused",
    "CrmUnavailable",
    "HubSpot",
    "Pipedrive",
    "RecordGone",
]
