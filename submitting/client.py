"""The user's submissions to the competition, by Kaggle's own client."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import os
import time
from pathlib import Path
from typing import Any, Callable, Iterator, List, Optional, TypeVar

from fetch import credentials
from fetch.competition import COMPETITION
from fetch.network import (
    Unreachable,
    explain_network_errors,
    retry_while_progressing,
    stall_timeout,
)
from fetch.outcome import progress_of
from leapkit.core.errors import KitError
from submitting import answers
from submitting.answers import ANSWERS, BY_HAND

STALL_SECONDS = 120.0  # without a byte, after which an upload is begun again where it ended
UPLOADS = 6  # tries of one upload, each of which continues the last one
_PAGE = 100  # submissions of an answer
_Answer = TypeVar("_Answer")


def versions() -> str:
    """Return the names and versions of the packages that talk to Kaggle."""
    return ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("kaggle", "kagglesdk")
    )


class Submissions:
    """What the user has on Kaggle. Raises KitError if there are no credentials."""

    def __init__(self) -> None:
        with explain_network_errors("Kaggle", BY_HAND, ANSWERS):
            self._api = credentials.sign_in(BY_HAND)

    def find(self, key: str, refused_file: str = "") -> Optional[Any]:
        """Return the newest submission whose description begins with a product's key.

        refused_file  the file of which also a submission that Kaggle could not score counts
        """
        from kagglesdk.competitions.types.submission_status import SubmissionStatus

        for one in self._all():
            is_refused = one.status == SubmissionStatus.ERROR
            if (one.description or "").startswith(key):
                if not is_refused or one.file_name == refused_file:
                    return one
        return None

    def _all(self) -> Iterator[Any]:
        from kagglesdk.competitions.types.competition_api_service import ApiListSubmissionsRequest

        request = ApiListSubmissionsRequest()
        request.competition_name = COMPETITION
        request.page_size = _PAGE
        request.page_token = ""
        while True:
            answer = self._ask(lambda service: service.list_submissions(request), COMPETITION)
            yield from answer.submissions or ()
            if not answer.next_page_token or not answer.submissions:
                return
            request.page_token = answer.next_page_token

    def get(self, ref: int, where: str) -> Any:
        """Return the submission of a number."""
        from kagglesdk.competitions.types.competition_api_service import ApiGetSubmissionRequest

        request = ApiGetSubmissionRequest()
        request.ref = ref
        with self._service(where) as service:  # whoever waits asks again
            return service.get_submission(request)

    def require_allowance(self, where: str) -> None:
        """Raise OutOfSubmissions if Kaggle's limits say that today's are used.

        They are all 0 for a user who has never taken part, whom Kaggle lets in with the first one.
        """
        from kagglesdk.competitions.types.competition_api_service import (
            ApiGetSubmissionLimitsRequest,
        )

        request = ApiGetSubmissionLimitsRequest()
        request.competition_name = COMPETITION
        limits = self._ask(lambda service: service.get_submission_limits(request), where)
        if limits.num_allowed_now <= 0 < limits.num_today:
            used = f"{limits.num_today} of this day are used"
            raise answers.out_of_submissions(where, used)

    def upload(self, file: Path) -> str:
        """Upload a file and return its token.

        A transfer that breaks off is continued. Raises KitError if it cannot be ended.
        """
        from kagglesdk.competitions.types.competition_api_service import (
            ApiStartSubmissionUploadRequest,
        )

        before = file.stat()
        request = ApiStartSubmissionUploadRequest()
        request.competition_name = COMPETITION
        request.file_name = file.name
        request.content_length = before.st_size
        request.last_modified_epoch_seconds = int(before.st_mtime)
        place = self._ask(lambda service: service.start_submission_upload(request), file.name)
        with progress_of(file.name, before.st_size, lambda: _position(file)):
            self._transfer(file, place.create_url)
        after = file.stat()
        if (before.st_mtime_ns, before.st_size, before.st_ino) != (
            after.st_mtime_ns,
            after.st_size,
            after.st_ino,
        ):
            raise KitError(
                "was changed while it was uploaded, so it was not submitted",
                file,
                "run the same command again",
            )
        return str(place.token)

    def _transfer(self, file: Path, address: str) -> None:
        from kaggle.models.kaggle_models_extended import ResumableUploadResult

        for number in range(UPLOADS):
            time.sleep(min(2.0**number / 2, 30.0) if number else 0.0)
            with stall_timeout(lambda: _position(file), STALL_SECONDS), _unheard():
                result = self._api.upload_complete(
                    str(file), address, quiet=True, resume=number > 0
                )
            if result == ResumableUploadResult.COMPLETE:
                return
            if result == ResumableUploadResult.FAILED:
                break
        else:
            raise Unreachable(
                f"the upload broke off {UPLOADS} times, and nothing was submitted",
                file.name,
                f"check the network and its proxy and run the same command again, or {BY_HAND}",
            )
        raise KitError(
            "the server of the uploads refuses the file, and nothing was submitted",
            file.name,
            f"run the same command again, or {BY_HAND}",
        )

    def create(self, token: str, description: str, where: str) -> int:
        """Submit an uploaded file and return its number, 0 if Kaggle does not say it.

        Raises OutOfSubmissions, or another KitError with Kaggle's reason. If the network breaks
        off, Kaggle may have it nevertheless.
        """
        from kagglesdk.competitions.types.competition_api_service import ApiCreateSubmissionRequest

        request = ApiCreateSubmissionRequest()
        request.competition_name = COMPETITION
        request.blob_file_tokens = token
        request.submission_description = description
        with explain_network_errors(where, BY_HAND, ANSWERS):
            try:
                with self._service(where) as service:
                    return int(service.create_submission(request).ref or 0)
            except Exception as error:
                refusal = answers.refusal(error, where)
                if refusal:
                    raise refusal from error
                raise

    def _ask(self, call: Callable[[Any], _Answer], where: str) -> _Answer:
        """Return the answer to a question that may be asked again, as its answer is no change."""
        found: List[_Answer] = []

        def once() -> None:
            with self._service(where) as service:
                found.append(call(service))

        with explain_network_errors(where, BY_HAND, ANSWERS):
            retry_while_progressing(once, lambda: 0)
        return found[0]

    @contextlib.contextmanager
    def _service(self, where: str) -> Iterator[Any]:
        with stall_timeout(lambda: 0, STALL_SECONDS), self._api.build_kaggle_client() as client:
            yield client.competitions.competition_api_client


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Drop what the client prints of a failed transfer: addresses with signatures."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def _position(file: Path) -> int:
    """Return how far this process has read a file that it has open, as Linux tells; else 0."""
    with contextlib.suppress(OSError, ValueError, StopIteration):
        handles = Path("/proc/self/fd")
        handle = next(one for one in handles.iterdir() if _leads_to(one, file))
        text = (Path("/proc/self/fdinfo") / handle.name).read_text()
        return int(text.split("pos:")[1].split()[0])
    return 0


def _leads_to(handle: Path, file: Path) -> bool:
    with contextlib.suppress(OSError):  # closed meanwhile
        return os.readlink(str(handle)) == str(file)
    return False
