"""Whether, where and over what sessions are kept: configurations, the environment, and backends that can do less."""

from pathlib import Path
from typing import Any

import attrs
import pytest

from sessionkit import (
    BackendClosedError,
    BackendURLError,
    ConfigurationError,
    SessionBackend,
    SessionMetadata,
    UnsupportedOperationError,
    open_backend,
    register_backend,
    registry,
)
from sessionkit.history.config import HistoryConfig
from sessionkit.history.history import SessionHistory
from sessionkit.history.keeping import stored_of
from sessionkit.history.session import Session
from sessionkit_memory import MemoryBackend
from tests.history.sessions import SAID, full, keys
from tests.places import url_of
from tests.toys import DictBackend


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine has set."""
    for name in ("URL", *(f"HISTORY_{name.upper()}" for name in attrs.fields_dict(HistoryConfig))):
        monkeypatch.delenv(f"SESSIONKIT_{name}", raising=False)


@pytest.mark.parametrize("config", [None, HistoryConfig(), HistoryConfig(url="nobody://knows", max_sessions=1)])
def test_disabled_it_does_nothing(config: HistoryConfig | None) -> None:
    """Every call is harmless and gives nothing, and no store is opened."""
    with SessionHistory(config) as history:
        session = full()
        assert not history.is_enabled
        assert history.backend is None
        calls: list[tuple[object, object]] = [
            (history.create_session(session), None),  # type: ignore[func-returns-value]
            (history.save_session(session), None),  # type: ignore[func-returns-value]
            (history.append_messages("unknown", [SAID]), None),  # type: ignore[func-returns-value]
            (history.load_session("k"), None),
            (history.list_sessions(), []),
            (history.list_agent_sessions("agent"), []),
            (history.delete_session("k"), False),
            (history.session_count(), 0),
            (history.enforce_max_sessions(), 0),
            (history.enforce_max_sessions(1), 0),
        ]
        assert all(given == expected and type(given) is type(expected) for given, expected in calls)
        assert session == full()
        assert not stored_of(session).revision
        assert repr(history) == "SessionHistory(disabled)"


def test_enabled_by_a_configuration(tmp_path: Path) -> None:
    """Its store is opened at once and closed in the end."""
    config = HistoryConfig(enabled=True, db_path=tmp_path / "new" / "chats.db", auto_save=False)
    with SessionHistory(config) as history:
        assert history.is_enabled
        assert history.config == config
        assert (tmp_path / "new" / "chats.db").exists()
        history.create_session(full())
        assert "chats.db" in repr(history)
    history.close()
    for call in (history.session_count, history.list_sessions, lambda: history.load_session("k")):
        with pytest.raises(BackendClosedError):
            call()
    with SessionHistory(HistoryConfig(enabled=True, url=config.backend_url)) as again:
        assert again.session_count() == 1


def test_the_default_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no place is configured, it is that of `open_backend`."""
    monkeypatch.setenv("SESSIONKIT_URL", url_of("jsonl", tmp_path))
    with SessionHistory(HistoryConfig(enabled=True)) as history:
        history.create_session(Session("k"))
    with open_backend(url_of("jsonl", tmp_path)) as backend:
        assert backend.list_sessions() == ["k"]


def test_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over what the program says: whether, where and how many."""
    config = HistoryConfig(enabled=True, url="nobody://knows", max_sessions=5)
    monkeypatch.setenv("SESSIONKIT_HISTORY_ENABLED", "off")
    assert not SessionHistory(config).is_enabled
    monkeypatch.setenv("SESSIONKIT_HISTORY_ENABLED", "on")
    monkeypatch.setenv("SESSIONKIT_HISTORY_DB_PATH", str(tmp_path / "chats.db"))
    monkeypatch.setenv("SESSIONKIT_HISTORY_MAX_SESSIONS", "1")
    for each in (config, HistoryConfig(), None):
        with SessionHistory(each) as history:
            assert history.is_enabled
            assert history.config.max_sessions == 1
            history.create_session(Session())
            assert history.session_count() == 1
    assert (tmp_path / "chats.db").exists()
    monkeypatch.setenv("SESSIONKIT_HISTORY_MAX_SESSIONS", "none")
    with pytest.raises(ConfigurationError, match="SESSIONKIT_HISTORY_MAX_SESSIONS"):
        SessionHistory()


def test_a_backend_is_enabled_and_never_closed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment says of configurations."""
    monkeypatch.setenv("SESSIONKIT_HISTORY_ENABLED", "0")
    with MemoryBackend() as backend:
        with SessionHistory(backend) as history:
            assert history.is_enabled
            assert history.backend is backend
            assert history.config == HistoryConfig(enabled=True)
        history.create_session(Session("k"))
        assert backend.list_sessions() == ["k"]


def test_a_backend_with_settings() -> None:
    """A backend's history takes the two settings that say how it keeps sessions, checked as a configuration's are."""
    backend = MemoryBackend()
    history = SessionHistory(backend, auto_save=False, max_sessions=1)
    assert history.config == HistoryConfig(enabled=True, auto_save=False, max_sessions=1)
    for name in "ab":
        history.create_session(Session(name))
    assert backend.list_sessions() == ["b"]
    not_a_switch: Any = "no"
    with pytest.raises(ConfigurationError, match="auto_save must be true or false, not text"):
        SessionHistory(backend, auto_save=not_a_switch)
    with pytest.raises(ConfigurationError, match="max_sessions must be a whole number of 1 or more, not 0"):
        SessionHistory(backend, max_sessions=0)


@pytest.mark.parametrize("config", [None, HistoryConfig(enabled=True)])
def test_a_configuration_has_the_settings_itself(config: HistoryConfig | None) -> None:
    """Settings beside a configuration are refused, whatever they are, as one of the two would not count."""
    with pytest.raises(TypeError, match=r"auto_save go with a backend; .* set them there: HistoryConfig\(...\)"):
        SessionHistory(config, auto_save=True)
    with pytest.raises(TypeError, match="auto_save and max_sessions go with a backend"):
        SessionHistory(config, auto_save=False, max_sessions=1)


def test_what_can_not_be_opened() -> None:
    """Says so at once, and not at the first session."""
    with pytest.raises(BackendURLError, match="no backend knows the scheme 'nobody'"):
        SessionHistory(HistoryConfig(enabled=True, url="nobody://knows"))
    no_backend: Any = "sqlite:///chats.db"
    with pytest.raises(TypeError, match=r"no URL; give it open_backend\(url\) or HistoryConfig"):
        SessionHistory(no_backend)
    no_backend = 5
    with pytest.raises(TypeError, match="int is no backend"):
        SessionHistory(no_backend)


def test_a_new_session_makes_room_for_itself(tmp_path: Path) -> None:
    """By the limit of the configuration, created or saved; it is never the one to go."""
    config = HistoryConfig(enabled=True, db_path=tmp_path / "chats.db", max_sessions=2)
    with SessionHistory(config) as history:
        for name in "abc":
            history.create_session(Session(name))
        assert keys(history) == ["c", "b"]
        history.save_session(Session("d"))
        assert keys(history) == ["d", "c"]
        assert history.backend is not None
        for name in "cd":
            history.backend.set_session_state(name, "running", "t")
        history.create_session(Session("e"))
        assert set(keys(history)) == {"c", "d", "e"}
        assert history.enforce_max_sessions() == 1
        assert history.enforce_max_sessions(5) == 0


# -- backends that can do less ---------------------------------------------------------------------------------------


class Lacking(MemoryBackend):
    """Memory that can do less."""

    closed = False

    def close(self) -> None:
        """Remember that."""
        super().close()
        self.closed = True


class WithoutWrite(Lacking):
    """It can't write atomically."""

    write = None  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType] -- on purpose


class WithoutContext(Lacking):
    """It keeps no attributes."""

    set_session_context = SessionBackend.set_session_context  # pyright: ignore[reportAssignmentType] -- on purpose


class WithoutOwners(Lacking):
    """It keeps no owner."""

    set_session_agent_alias = SessionBackend.set_session_agent_alias  # pyright: ignore[reportAssignmentType] -- on purpose
    get_session_agent_alias = SessionBackend.get_session_agent_alias  # pyright: ignore[reportAssignmentType] -- on purpose


class WithoutRevisions(Lacking):
    """It does not count changes."""

    def get_session_metadata(self, session_key: str, /) -> SessionMetadata | None:
        """As it is, but for that."""
        metadata = super().get_session_metadata(session_key)
        return metadata and attrs.evolve(metadata, revision=None)


@pytest.mark.parametrize(
    ("backend", "says"),
    [
        (DictBackend(), r"DictBackend offers no write\(\), the protocol SupportsWrite, which SessionHistory needs"),
        (WithoutWrite(), r"WithoutWrite offers no write\(\), the protocol SupportsWrite, which SessionHistory needs"),
        (WithoutContext(), r"WithoutContext offers no set_session_context\(\), which SessionHistory needs"),
    ],
)
def test_a_backend_that_can_not(backend: Any, says: str) -> None:
    """Is refused at once, by the name of what it lacks."""
    with pytest.raises(UnsupportedOperationError, match=says):
        SessionHistory(backend)
    assert not getattr(backend, "closed", False)


def test_a_backend_that_can_not_is_closed_if_it_was_opened_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left open."""
    backend = WithoutWrite()
    monkeypatch.setattr(registry, "_registered", {})
    register_backend("lacking", lambda _: backend)
    with pytest.raises(UnsupportedOperationError):
        SessionHistory(HistoryConfig(enabled=True, url="lacking://"))
    assert backend.closed


def test_a_backend_without_revisions() -> None:
    """Is refused where a revision is needed: without one, an overwrite would go unnoticed."""
    history = SessionHistory(WithoutRevisions())
    history.create_session(Session("k"))
    says = r"WithoutRevisions tells no revision of a session \(get_session_metadata\)"
    with pytest.raises(UnsupportedOperationError, match=says):
        history.load_session("k")
    with pytest.raises(UnsupportedOperationError, match=says):
        history.append_messages("k", [SAID])


def test_a_backend_without_owners() -> None:
    """Will do, without a warning: the record tells."""
    history = SessionHistory(WithoutOwners())
    session = full()
    history.create_session(session)
    assert history.load_session("k") == session
    session.agent_name = "other"
    history.save_session(session)
    assert history.load_session("k") == session
    assert [summary.session_id for summary in history.list_agent_sessions("other")] == ["k"]
