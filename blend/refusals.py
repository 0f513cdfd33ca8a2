"""Several files that are checked together: each refusal is shown, and one is enough to stop."""

from __future__ import annotations

from typing import Callable, Sequence, TypeVar

from leapkit.core.errors import KitError

_File = TypeVar("_File")


def require_all(
    files: Sequence[_File], check: Callable[[_File], None], verdict: str, where: object
) -> None:
    """Check all files, and print why those are refused for which `check` raises KitError.

    verdict  of those: "parquets were refused"
    where    they are
    Raises KitError if there is one.
    """
    refused = 0
    for file in files:
        try:
            check(file)
        except KitError as error:
            refused += 1
            print(f"refused: {error}", flush=True)
    if refused:
        what = f"{refused} of {len(files)} {verdict}"
        raise KitError(what, where, "see the lines above")
