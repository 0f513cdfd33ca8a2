"""What decides what an emulator gives, as a receipt names it."""

from __future__ import annotations

import json
from typing import Dict, Mapping

_TABLES = ("checkpoints_sha256", "statistics_sha256")
_PLAIN = ("emulator", "networks", "profile", "constraints", "weights_sha256")


def of(provenance: Mapping[str, str]) -> Dict[str, str]:
    """Return {role: sha256 or name} of the parts of attributes.provenance that decide.

    Stack, device and precision are recorded and never do, as those of the kit's parquets.
    """
    digests = {
        f"{table.split('_')[0]} {name}": digest
        for table in _TABLES
        for name, digest in json.loads(provenance[table]).items()
    }
    return {**digests, **{name: provenance[name] for name in _PLAIN if name in provenance}}
