"""`make submit`: what is sent, checked where the blend runs, then sent from this machine."""

from __future__ import annotations

from pathlib import Path
from typing import List, Mapping

from blend import tables
from launch import names, process, registry
from launch.blend_tools import on_results
from launch.runtimes import environments
from launch.settings import Settings
from leapkit.core import score_receipts
from leapkit.core.errors import KitError
from leapkit.core.hash_index import HashIndex
from leapkit.core.score_receipts import PARQUET


def run(settings: Settings, requested: Mapping[str, str]) -> int:
    """Check the products and send them; with SUBMIT=0 only say what would be sent.

    Raises KitError if a product does not exist, or if the data are not Kaggle's.
    """
    if settings.raw.truth.exists():
        raise KitError(
            "is a world with its own truth, whose rows Kaggle does not know",
            settings.raw.root,
            "name the folder of Kaggle's data with RAW_DATA=; `make evaluate` scores this world",
        )
    if not settings.raw.sample_submission.exists():
        raise KitError(
            "is missing, and says which rows Kaggle scores",
            settings.raw.sample_submission,
            "run `make fetch WHAT=kaggle`, or name the folder of Kaggle's data with RAW_DATA=",
        )
    chosen = products(settings, requested.get("ARTIFACTS", ""))
    form = requested.get("FORM", PARQUET)
    unsent = _unsent(settings, chosen)
    if unsent:
        folders = [str(path.relative_to(settings.results.root)) for path in unsent]
        check = ["submittable", "--products=" + ",".join(folders), f"--form={form}"]
        code = on_results(settings, "verify", check)
        if code:
            return code
    arguments = [
        "-m",
        "submitting",
        f"--submission={settings.results.root}",
        "--products=" + ",".join(str(p.relative_to(settings.results.root)) for p in chosen),
        f"--form={form}",
        f"--message={requested.get('MESSAGE', '')}",
        *(["--show"] if requested.get("SUBMIT") == "0" else []),
    ]
    return process.run([str(environments.fetch_python()), *arguments], environments.environment({}))


def products(settings: Settings, artifacts: str) -> List[Path]:
    """Return the parquets to send: the networks that ARTIFACTS names, else the blend of each TABLE.

    Raises KitError for the first that does not exist.
    """
    if not artifacts.strip():
        found = [blend.final(settings.results) for blend in settings.blends]
        remedy = "run `make blend`"
    else:
        names.require_artifacts(settings, artifacts)
        named = [tables.canonical(name) for name in registry.named_artifacts(artifacts)]
        found = [settings.results.parquet(artifact) for artifact in dict.fromkeys(named)]
        remedy = "run `make verify`"
    for path in found:
        if not path.exists():
            raise KitError("is missing", path, remedy)
    return found


def _unsent(settings: Settings, chosen: List[Path]) -> List[Path]:
    """Return the products that Kaggle does not have: only they are checked, which takes minutes."""
    index = HashIndex(settings.results.hashes)
    on_kaggle = score_receipts.on_kaggle(settings.results)
    return [path for path in chosen if index.of(path) not in on_kaggle] if on_kaggle else chosen
