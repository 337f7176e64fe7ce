"""Data quality: what is wrong with the data in HaloPSA, and how to mend it."""

from workflows.data_quality.examination import examine
from workflows.data_quality.finding import Finding, Named, WonDeal
from workflows.data_quality.tape import TapeInUse

__all__ = ["Finding", "Named", "TapeInUse", "WonDeal", "examine"]
