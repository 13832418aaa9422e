"""Session keys folded, cut, taken for patterns or for paths."""

import tempfile
import unicodedata
from abc import abstractmethod
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import attrs

from sessionkit import ChatMessage, InvalidSessionKeyError, SessionMetadata, SessionQuery, check_session_key
from tests.mutants.declared import Memory, caught_by


class _Renames(Memory):
    """Looks every session up under another name than its key."""

    @abstractmethod
    def named(self, session_key: str) -> str:
        """What the key becomes."""

    def _found(self, session_key: str) -> Any:
        check_session_key(session_key)
        return super()._found(self.named(session_key))

    def _found_or_new(self, session_key: str) -> Any:
        check_session_key(session_key)
        return super()._found_or_new(self.named(session_key))

    def delete_session(self, session_key: str, /) -> bool:
        check_session_key(session_key)
        return super().delete_session(self.named(session_key))


@caught_by("keys.distinct")
class FoldsCase(_Renames):
    """Keys are compared by a collation that ignores case."""

    def named(self, session_key: str) -> str:
        return session_key.casefold()


@caught_by("keys.distinct")
class NormalisesKeys(_Renames):
    """Keys become file names, which the file system brings into NFC."""

    def named(self, session_key: str) -> str:
        return unicodedata.normalize("NFC", session_key)


@caught_by("keys.distinct")
class TrimsKeys(_Renames):
    """Spaces and dots at the end of a key are dropped, as Windows does with file names."""

    def named(self, session_key: str) -> str:
        return session_key.rstrip(" .") or session_key


@caught_by("keys.distinct")
class CutsKeys(_Renames):
    """The key's column takes 255 characters, and the rest is cut off."""

    def named(self, session_key: str) -> str:
        return session_key[:255]


@caught_by("keys.distinct", "keys.listed-exactly")
class EscapesAmbiguously(_Renames):
    """A slash is written as an underscore, which a key may hold too."""

    def named(self, session_key: str) -> str:
        return session_key.replace("/", "_")


@caught_by("keys.distinct")
class ResolvesPaths(_Renames):
    """The key is taken for a path, whose dots are resolved."""

    def named(self, session_key: str) -> str:
        return session_key.replace("a/../", "").replace("/./", "/")


@caught_by("keys.listed-exactly")
class ListsEncodedKeys(Memory):
    """The list shows the names of the files, and not the keys they stand for."""

    def list_sessions(self) -> list[str]:
        return [key.replace("/", "%2F") for key in super().list_sessions()]


@caught_by("keys.changed-apart")
class DeletesByPattern(Memory):
    """`DELETE ... WHERE key LIKE ?`: the key is taken for a pattern."""

    def delete_session(self, session_key: str, /) -> bool:
        check_session_key(session_key)
        pattern = session_key.replace("%", "*").replace("_", "?")
        alike = [key for key in list(self._sessions) if fnmatchcase(key, pattern)]
        existed = super().delete_session(session_key)
        for key in alike:
            super().delete_session(key)
        return existed


@caught_by("keys.changed-apart")
class ClearsByPrefix(Memory):
    """`a*` is scanned for to delete the entries of `a`, and finds those of `aa` too."""

    def delete_session(self, session_key: str, /) -> bool:
        existed = super().delete_session(session_key)
        for key in list(self._sessions):
            if key.startswith(session_key):
                self.clear_messages(key)
        return existed


class _NamesApart(_Renames):
    """Keeps names in a table of their own, with a column of its own for the key."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, str | None] = {}

    def _found(self, session_key: str) -> Any:
        return Memory._found(self, session_key)

    def _found_or_new(self, session_key: str) -> Any:
        return Memory._found_or_new(self, session_key)

    def delete_session(self, session_key: str, /) -> bool:
        return Memory.delete_session(self, session_key)

    def set_session_name(self, session_key: str, name: str, /) -> None:
        super().set_session_name(session_key, name)
        self.names[self.named(session_key)] = name or None

    def get_session_name(self, session_key: str, /) -> str | None:
        return super().get_session_name(session_key) and self.names[self.named(session_key)]


@caught_by("keys.named-apart")
class NamesCutKeys(_NamesApart):
    """The key's column of the table of names takes 255 characters."""

    def named(self, session_key: str) -> str:
        return session_key[:255]


@caught_by("keys.named-apart")
class NamesNormaliseKeys(_NamesApart):
    """The key's column of the table of names has a collation that normalises."""

    def named(self, session_key: str) -> str:
        return unicodedata.normalize("NFC", session_key)


@caught_by("keys.found-apart")
class IndexCutsKeys(Memory):
    """The index names sessions by the first 255 characters of their keys."""

    def search(self, query: SessionQuery, /) -> list[SessionMetadata]:
        found = super().search(query)
        first: dict[str, str] = {}
        for key in self._sessions:
            first.setdefault(key[:255], key)
        return [attrs.evolve(each, key=first[each.key[:255]]) for each in found]


@caught_by("keys.refused")
class TakesTheEmptyKey(Memory):
    """The empty key stands for a default session."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        super().append("default" if session_key == "" else session_key, message)


@caught_by("keys.refused")
class TakesNumbers(Memory):
    """A key that is no text is turned into one."""

    def load(self, session_key: str, /) -> list[ChatMessage]:
        return super().load(str(session_key) if isinstance(session_key, int) else session_key)


@caught_by("keys.refused")
class CountsCharacters(Memory):
    """The limit of a key is counted in characters, not in bytes."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        if isinstance(session_key, str) and len(session_key) <= 1024:
            session_key = session_key.encode(errors="surrogatepass")[:1024].decode(errors="ignore")
        super().append(session_key, message)


@caught_by("keys.any-text", raises=(InvalidSessionKeyError,))
class RefusesOddKeys(Memory):
    """A key that could not be printed is refused."""

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        check_session_key(session_key)
        if not session_key.isprintable():
            msg = "a session key must be printable"
            raise InvalidSessionKeyError(msg)
        super().append(session_key, message)


@caught_by("keys.never-a-path")
class JoinsPaths(Memory):
    """The session's file is `folder / key`, wherever that leads."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()

    def append(self, session_key: str, message: ChatMessage, /) -> None:
        super().append(session_key, message)
        with suppress(OSError):
            Path(self.folder.name, session_key).touch()

    def delete_session(self, session_key: str, /) -> bool:
        deleted = super().delete_session(session_key)
        with suppress(OSError):
            Path(self.folder.name, session_key).unlink(missing_ok=True)
        return deleted

    def close(self) -> None:
        super().close()
        self.folder.cleanup()
