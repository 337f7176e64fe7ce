"""Data quality: what is wrong with the data in HaloPSA, and how to mend it."""

from workflows.data_quality.examination import examine
from workflows.data_quality.finding import Finding, Named, WonDeal
from workflows.data_quality.tape import TapeInUse
from workflows.data_quality.won_deals import won_deals

__all__ = ["Finding", "Named", "TapeInUse", "WonDeal", "examine", "won_deals"]
