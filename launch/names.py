"""The names that a user gives, checked before anything is built or installed."""

from __future__ import annotations

from pathlib import Path
from typing import List, Mapping, Sequence

from blend import tables
from blend.naming import parse_options
from launch import registry
from launch.settings import Settings
from leapkit.core.errors import KitError


def require_known(settings: Settings, requested: Mapping[str, str]) -> None:
    """Check the tables, the networks, the options and the folders that the user names.

    Raises KitError for the first that does not exist; it says what does.
    """
    for variable in ("RAW_DATA", "WEIGHTS"):
        if requested.get(variable):
            _require_folder(variable, Path(requested[variable]))
    registry.chosen(requested.get("EXPERIMENTS", ""), "", "reproduce", everything=True)
    parse_options(requested.get("POSTPROCESS", ""))
    if requested.get("TABLE"):
        require_tables(settings)
    require_artifacts(settings, requested.get("ARTIFACTS", ""))


def _require_folder(variable: str, folder: Path) -> None:
    """Raises KitError if a folder that is read does not exist."""
    if not folder.is_dir():
        raise KitError("the folder does not exist", f"{variable}={folder}", "check the path")


def require_data(settings: Settings) -> None:
    """Raises KitError if the folder of the data does not exist, for commands that make none."""
    if not settings.raw.root.is_dir():
        raise KitError(
            "the folder does not exist",
            settings.raw.root,
            "run `make reproduce` for a run in the sample world, or `make fetch WHAT=kaggle` for"
            " Kaggle's data",
        )


def require_test_rows(settings: Settings) -> None:
    """Raises KitError if a file that says which rows are predicted does not exist."""
    require_data(settings)
    for path in settings.raw.test_files().values():
        if not path.exists():
            remedy = "run `make fetch WHAT=kaggle`, or name another folder with RAW_DATA="
            raise KitError("the file is missing", path, remedy)


def require_parquets(settings: Settings) -> None:
    """Raises KitError if there is no parquet to check."""
    if not any(settings.results.subs.glob("*.parquet")):
        raise KitError(
            "holds no parquets",
            settings.results.subs,
            "copy yours there, or make them with `make infer-only` or `make reproduce`",
        )


def require_train_csv(settings: Settings) -> None:
    """Raises KitError if a file that statistics are computed from does not exist."""
    train_csv = settings.raw.root / "kaggle-data" / "train.csv"
    commands = {train_csv: 'WHAT="kaggle train.csv"', settings.raw.old_weights: "WHAT=kaggle"}
    for path, what in commands.items():
        if not path.exists():
            remedy = f"run `make fetch {what}`, or name another folder with RAW_DATA="
            raise KitError("the file is missing", path, remedy)


def require_arguments(variable: str, arguments: Sequence[str], flags: Sequence[str]) -> None:
    """Raises KitError if a maker of data is not given a flag that it needs.

    variable  the variable of `make` that holds the arguments
    """
    names = {argument.split("=")[0] for argument in arguments}
    missing = [flag for flag in flags if flag not in names]
    if missing and not names & {"-h", "--help"}:
        raise KitError(
            f"lacks {', '.join(missing)}",
            variable,
            f'write {variable}="' + " ".join(f"{flag} .." for flag in flags) + '"',
        )


def require_tables(settings: Settings) -> None:
    """Raises KitError if TABLE names no table, or a search of a member that does not exist."""
    searches = registry.searches(registry.members())
    for blend in settings.blends:
        if blend.is_own_file and Path(blend.source).is_dir():
            raise KitError("is a folder, not a table", f"TABLE={blend.source}", "name a file in it")
        if blend.search and blend.search.among not in searches:
            raise KitError(
                "there is nothing to search among",
                f"TABLE={blend.source}",
                "choose " + " or ".join(searches),
            )


def require_artifacts(settings: Settings, names: str) -> None:
    """Raises KitError if ARTIFACTS names a parquet that is not in submission/subs."""
    missing: List[Path] = []
    for name in registry.named_artifacts(names):
        if "/" in name or name.startswith("."):
            raise KitError(
                "is a path, neither a network nor the name of a parquet in submission/subs",
                f"ARTIFACTS={name}",
                "write a network, as adam/195, or a parquet without its folder, as adam_exp195",
            )
        stems = {name, tables.canonical(name)}
        if not any(settings.results.parquet(stem).exists() for stem in stems):
            missing.append(settings.results.parquet(name))
    if missing:
        raise KitError(
            "the parquet does not exist",
            missing[0],
            "check ARTIFACTS, or SUBMISSION if it is elsewhere",
        )
