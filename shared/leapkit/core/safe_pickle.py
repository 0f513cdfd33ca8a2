"""Read pickles from strangers without executing them (standard library only).

torch.save writes a zip archive: a pickle (data.pkl, the table of contents) beside the bytes of the
tensors. An ordinary unpickler imports and calls whatever the file names. This one knows two closed
lists: of opcodes, and of names, each of which stands for a harmless object that the reader gives.
Everything else is refused before anything is built, and so is what would cost more time or memory
than core.pickle_limits allows.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import zipfile
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, Mapping, Tuple

from leapkit.core.errors import KitError, explain_os_errors, printable
from leapkit.core.lfs_pointer import refuse_pointer
from leapkit.core.pickle_limits import Kind, Refused
from leapkit.core.pickle_rehearsal import require_harmless
from leapkit.core.torch_archive import Archive, opened

Name = Tuple[str, str]  # (module, attribute), as a pickle names it
Names = Mapping[Name, Any]  # what stands for each name; make it anew for each file
References = Callable[[Any, Archive], Any]  # a persistent id -> the object that it stands for


@contextlib.contextmanager
def explained(path: Path, kind: Kind) -> Iterator[None]:
    """Turn whatever a missing, damaged or hostile file makes Python say into a KitError."""
    refuse_pointer(path)
    with explain_os_errors(path, kind.remedy):
        try:
            yield
        except zipfile.BadZipFile as error:
            what = f"is truncated, or not {kind.name} in PyTorch's zip format"
            raise KitError(what, path, kind.remedy) from error
        except Refused as error:
            what = f"refused, nothing was executed: not {kind.name}, it holds {error}"
            raise KitError(what, path, kind.remedy) from error
        except (KitError, OSError):
            raise
        except Exception as error:  # malformed bytes make an unpickler say anything
            what = f"is damaged, or not {kind.name} ({type(error).__name__})"
            raise KitError(what, path, kind.remedy) from error


def read(path: Path, kind: Kind, names: Names, references: References) -> Any:
    """Return the object that a file of torch.save holds. Nothing of the file is executed.

    Raises Refused and whatever malformed bytes lead to: call it inside `explained`.
    """
    with opened(path) as archive:
        pickled = archive.pickled(kind.limits)
        return load(pickled, kind, names, lambda pid: references(pid, archive))


def load(pickled: bytes, kind: Kind, names: Names, references: Callable[[Any], Any]) -> Any:
    """Return the object of a pickle, as `read` does."""
    require_harmless(pickled, kind)
    return _Unpickler(pickled, kind, names, references).load()


class _Unpickler(pickle.Unpickler):
    """An unpickler of a closed list of names, whose persistent ids are left to the reader."""

    def __init__(
        self, pickled: bytes, kind: Kind, names: Names, references: Callable[[Any], Any]
    ) -> None:
        super().__init__(io.BytesIO(pickled))
        self._kind, self._names = kind, names
        self._references = references

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._names[(module, name)]
        except KeyError:
            what = (
                f"the name {printable(f'{module}.{name}')}, which {self._kind.name} has no use for"
            )
            raise Refused(what) from None

    def persistent_load(self, pid: Any) -> Any:
        return self._references(pid)


# --- recorded calls -------------------------------------------------------------------------------


class Call:
    """A call that the file asks for, not made: its arguments, and the state of its result."""

    __slots__ = ("arguments", "state")  # no __dict__ that a BUILD opcode could write into
    arguments: Tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any) -> Call:
        self = object.__new__(cls)
        self.arguments = arguments
        self.state = None
        return self

    def __setstate__(self, state: Any) -> None:
        self.state = state


def recorders(names: Iterable[Name]) -> Dict[Name, Any]:
    """Return {name: class whose calls are recorded}.

    The classes are new: a hostile opcode can spoil only what is thrown away after the file.
    """
    return {name: type(name[1], (Call,), {"__slots__": ()}) for name in names}


def is_call(value: Any, name: str) -> bool:
    return isinstance(value, Call) and type(value).__name__ == name


def require_call(value: Any, name: str) -> Call:
    """Return the record of a call of that name. Raises Refused for anything else."""
    if not is_call(value, name):
        raise Refused(f"something else where {name} is called in such a file")
    return value  # type: ignore[no-any-return]


def encoded_bytes(value: Any) -> bytes:
    """Return the bytes that protocol 2 writes as encode(text, "latin1"). Raises Refused."""
    text, *codec = require_call(value, "encode").arguments
    if type(text) is not str or codec != ["latin1"]:
        raise Refused("bytes in another encoding than latin1")
    return text.encode("latin1")
