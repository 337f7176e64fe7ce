"""The CRMs' look-alikes: HubSpot, Pipedrive, Salesforce, Dynamics and Zoho, as far as integrations read them."""

from workflows.sandbox.crm.crms import Crms

__all__ = ["Crms"]
