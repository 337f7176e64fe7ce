"""The plans: what is done in HaloPSA, in what order."""
