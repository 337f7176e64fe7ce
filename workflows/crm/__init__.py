"""The CRMs: reading what a changed record means, and leaving a note on its deal."""

from workflows.crm.api import CrmDenied, CrmInDoubt, CrmRefused, CrmUnavailable, RecordGone
from workflows.crm.dynamics import Dynamics
from workflows.crm.halopsa import HaloHydrator
from workflows.crm.hubspot import HubSpot
from workflows.crm.hydrator import CrmHydrator
from workflows.crm.pipedrive import Pipedrive
from workflows.crm.records import Crm
from workflows.crm.salesforce import Salesforce
from workflows.crm.zoho import Zoho
from workflows.crm.zoho_channel import ZohoChannel

__all__ = [
    "Crm",
    "CrmDenied",
    "CrmHydrator",
    "CrmInDoubt",
    "CrmRefused",
    "CrmUnavailable",
    "Dynamics",
    "HaloHydrator",
    "HubSpot",
    "Pipedrive",
    "RecordGone",
    "Salesforce",
    "Zoho",
    "ZohoChannel",
]
