"""How long and how thoroughly: short in `make test`, long in `make chaos`; every run tells its seed."""

import os
import random
from typing import Final

LONG: Final = "CHAOS_SECONDS" in os.environ
SECONDS: Final = float(os.environ.get("CHAOS_SECONDS", "10"))
SEED: Final = int(os.environ.get("CHAOS_SEED", random.randrange(1_000_000)))
