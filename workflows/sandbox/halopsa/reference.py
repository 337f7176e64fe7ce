"""The ids and names that HaloPSA's rules themselves go by."""

CLOSED_STATUSES = frozenset({8, 9})
WON_STATUS, LOST_STATUS = 40, 41
UNASSIGNED_AGENT = 1
API_AGENT = 4
GENERAL_USER = "General User"
INTERNAL_NOTE_OUTCOME = 7

TICKET_FIELDS, CLIENT_FIELDS, SITE_FIELDS, USER_FIELDS, CONTRACT_FIELDS = 1, 2, 3, 4, 5
"""The ``typeid`` of custom fields by what has them; 2 is known of HaloPSA, the others are the look-alike's own."""
