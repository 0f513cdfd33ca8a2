"""The user's submissions to the competition, by Kaggle's own client."""

from __future__ import annotations

import contextlib
import importlib.metadata
from pathlib import Path
from typing import Any, Callable, Iterator, List, NamedTuple, Optional, TypeVar

from kagglesdk.competitions.types.competition_api_service import (
    ApiCreateSubmissionRequest,
    ApiGetSubmissionLimitsRequest,
    ApiGetSubmissionRequest,
    ApiListSubmissionsRequest,
    ApiStartSubmissionUploadRequest,
)
from kagglesdk.competitions.types.submission_status import SubmissionStatus

from fetch import credentials
from fetch.competition import COMPETITION
from fetch.network import explain_network_errors
from fetch.retries import is_busy, is_transient, retry_while_progressing, stall_timeout
from leapkit.core.errors import explain_os_errors
from submitting import answers, uploads
from submitting.answers import ANSWERS, BY_HAND

ANSWER_SECONDS = 120.0  # in which an answer comes; the client itself would wait forever
_PAGE = 100  # submissions of an answer
_Answer = TypeVar("_Answer")


def versions() -> str:
    """Return the names and versions of the packages that talk to Kaggle."""
    return ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("kaggle", "kagglesdk")
    )


class Listed(NamedTuple):
    """A submission as Kaggle lists it."""

    ref: int
    file: str
    description: str


class Submissions:
    """What the user has on Kaggle. Raises KitError if there are no credentials."""

    def __init__(self) -> None:
        with explain_network_errors("Kaggle", BY_HAND, ANSWERS):
            self._api = credentials.sign_in(BY_HAND)

    def find(self, key: str, refused_file: str = "") -> Optional[Listed]:
        """Return the newest submission whose description begins with a product's key.

        refused_file  the file of which also a submission that Kaggle could not score counts
        """
        with explain_network_errors(COMPETITION, BY_HAND):
            for one in self._all():
                counts = one.status != SubmissionStatus.ERROR or one.file_name == refused_file
                if counts and one.description.startswith(key):
                    return Listed(int(one.ref), str(one.file_name), one.description)
        return None

    def _all(self) -> Iterator[Any]:
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

    def get(self, ref: int) -> Any:
        """Return the submission of a number. Raises what the client raises: the caller retries."""
        request = ApiGetSubmissionRequest()
        request.ref = ref
        with self._service() as service:
            return service.get_submission(request)

    def require_allowance(self, where: str) -> None:
        """Raise OutOfSubmissions if Kaggle's limits say that today's are used.

        They are all 0 for a user who has never taken part, whom Kaggle lets in with the first one.
        """
        request = ApiGetSubmissionLimitsRequest()
        request.competition_name = COMPETITION
        limits = self._ask(lambda service: service.get_submission_limits(request), where)
        with explain_network_errors(where, BY_HAND):
            is_out = limits.num_allowed_now <= 0 < limits.num_today
        if is_out:
            raise answers.out_of_submissions(where, f"{limits.num_today} of this day are used")

    def upload(self, file: Path) -> str:
        """Upload a file and return its token.

        A transfer that breaks off is continued. Raises KitError if it cannot be ended.
        """
        request = ApiStartSubmissionUploadRequest()
        request.competition_name = COMPETITION
        request.file_name = file.name
        with explain_os_errors(file):
            status = file.stat()
        request.content_length = status.st_size
        request.last_modified_epoch_seconds = int(status.st_mtime)
        place = self._ask(lambda service: service.start_submission_upload(request), file.name)
        uploads.transfer(file, place.create_url)
        return str(place.token)

    def create(self, token: str, description: str, where: str) -> int:
        """Submit an uploaded file and return its number, 0 if Kaggle does not say it.

        Raises NotTaken with Kaggle's reason. After another KitError Kaggle may have it.
        """
        request = ApiCreateSubmissionRequest()
        request.competition_name = COMPETITION
        request.blob_file_tokens = token
        request.submission_description = description
        answer = self._ask(lambda service: service.create_submission(request), where, is_busy)
        with explain_network_errors(where, BY_HAND):
            return int(answer.ref or 0)

    def _ask(
        self,
        call: Callable[[Any], _Answer],
        where: str,
        may_repeat: Callable[[BaseException], bool] = is_transient,
    ) -> _Answer:
        """Return the answer to a question, which is asked again after a failure that may pass.

        may_repeat  after which failures; a question whose answer is a change may have been heard
        """
        found: List[_Answer] = []

        def once() -> None:
            with self._service() as service:
                found.append(call(service))

        with _explained(where):
            retry_while_progressing(once, lambda: 0, may_repeat)
        return found[0]

    @contextlib.contextmanager
    def _service(self) -> Iterator[Any]:
        with stall_timeout(lambda: 0, ANSWER_SECONDS), self._api.build_kaggle_client() as client:
            yield client.competitions.competition_api_client


@contextlib.contextmanager
def _explained(where: str) -> Iterator[None]:
    """Turn what the client raises into a KitError: NotTaken if Kaggle refuses in so many words."""
    with explain_network_errors(where, BY_HAND, ANSWERS):
        try:
            yield
        except Exception as error:
            refusal = answers.refusal(error, where)
            if refusal:
                raise refusal from error
            raise
