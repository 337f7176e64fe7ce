"""The look-alike of HaloPSA's API and of its token endpoint."""
