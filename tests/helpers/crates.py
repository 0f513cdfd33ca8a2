"""The public validator of RO-Crates (roc-validator) where nothing but a folder can be reached.

It takes the context of RO-Crate from its cache of pages, which `cache` fills from a stored copy:
the terms that crates of the kit use, of https://w3id.org/ro/crate/1.1/context, which is in the
public domain (CC0). A term that is not among them has no meaning to the validator, and no effect.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, Dict, List, Set

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests_cache import CachedSession
from rocrate_validator import models, services
from urllib3 import HTTPResponse

CONTEXT = Path(__file__).resolve().parents[1] / "stored" / "ro_crate_context.json"
URL = "https://w3id.org/ro/crate/1.1/context"
HEADERS = {"Accept": "application/ld+json, application/json, */*;q=0.1"}  # the validator's
PROFILE = "process-run-crate-0.5"


class _Stored(BaseAdapter):
    """What answers a request with the stored context."""

    def send(self, request: Any, *_: Any, **__: Any) -> requests.Response:
        body = io.BytesIO(CONTEXT.read_bytes())
        headers = {"Content-Type": "application/ld+json"}
        raw = HTTPResponse(body, headers, 200, preload_content=False, request_url=request.url)
        return HTTPAdapter().build_response(request, raw)

    def close(self) -> None:
        pass


def cache(path: Path) -> Path:
    """Fill a cache of pages as the validator keeps one, and return it."""
    with CachedSession(str(path), "sqlite", expire_after=-1) as session:
        session.mount("https://", _Stored())
        assert session.get(URL, headers=HEADERS).status_code == 200
    return path


def issues(crate: Path, pages: Path) -> Dict[str, Set[str]]:
    """Return what the validator finds, without a network: {severity: messages}.

    crate  a folder, or an archive
    """
    settings = services.ValidationSettings(
        rocrate_uri=str(crate),
        profile_identifier=PROFILE,
        requirement_severity=models.Severity.RECOMMENDED,
        offline=True,
        cache_path=str(pages),
    )
    found: Dict[str, Set[str]] = {"REQUIRED": set(), "RECOMMENDED": set()}
    for issue in services.validate(settings).get_issues():
        found[issue.severity.name].add(str(issue.message).splitlines()[0])
    return found


def terms() -> List[str]:
    """Return the terms whose meaning the stored context gives."""
    return list(json.loads(CONTEXT.read_text())["@context"])
