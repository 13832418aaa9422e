"""The settings of the history: where they come from, which wins, and what is said of a wrong one."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

from sessionkit import ConfigurationError, open_backend
from sessionkit.history.config import HistoryConfig

NAMES = tuple(attrs.fields_dict(HistoryConfig))
SECRET = "s3cr3t"  # noqa: S105 -- of nothing


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine has set."""
    for name in NAMES:
        monkeypatch.delenv(f"SESSIONKIT_HISTORY_{name.upper()}", raising=False)


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    """A TOML file with every setting but the URL, and others' tables."""
    file = tmp_path / "agent.toml"
    file.write_text(
        "[history]\nenabled = true\ndb_path = 'of the file.db'\nauto_save = false\nmax_sessions = 5\n[other]\nx = 1\n"
    )
    return file


OF_THE_FILE = HistoryConfig(enabled=True, db_path="of the file.db", auto_save=False, max_sessions=5)


def test_defaults() -> None:
    """Disabled; once it is enabled, messages are saved as they come, in the default store, as many as there are."""
    config = HistoryConfig()
    assert config == HistoryConfig(enabled=False, url=None, db_path=None, auto_save=True, max_sessions=None)
    assert config == HistoryConfig.load() == config.with_environment()
    assert config.backend_url is None


def test_settings_of_a_file(file: Path) -> None:
    """Its table alone; a file without one says nothing."""
    assert HistoryConfig.load(file) == HistoryConfig.load(str(file)) == OF_THE_FILE
    file.write_text("[other]\nx = 1\n")
    assert HistoryConfig.load(file) == HistoryConfig()


def test_arguments_win_over_the_file(file: Path) -> None:
    """Each setting by itself; None is not given."""
    config = HistoryConfig.load(file, enabled=False, db_path=None, max_sessions=7)
    assert config == attrs.evolve(OF_THE_FILE, enabled=False, max_sessions=7)


def test_the_environment_wins_over_both(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And over a configuration that was made before."""
    monkeypatch.setenv("SESSIONKIT_HISTORY_ENABLED", "0")
    monkeypatch.setenv("SESSIONKIT_HISTORY_MAX_SESSIONS", "9")
    monkeypatch.setenv("SESSIONKIT_HISTORY_AUTO_SAVE", "")
    expected = attrs.evolve(OF_THE_FILE, enabled=False, max_sessions=9)
    assert HistoryConfig.load(file, enabled=True, max_sessions=7) == expected
    assert OF_THE_FILE.with_environment() == expected


@pytest.mark.parametrize("name", ["enabled", "auto_save"])
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", True),
        ("true", True),
        ("YES", True),
        (" On ", True),
        ("0", False),
        ("False", False),
        ("no", False),
        ("oFF", False),
    ],
)
def test_switches_of_the_environment(name: str, text: str, value: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001 -- a parameter of the test
    """The usual words, in any case."""
    monkeypatch.setenv(f"SESSIONKIT_HISTORY_{name.upper()}", text)
    config = HistoryConfig(enabled=not value, auto_save=not value).with_environment()
    assert getattr(config, name) is value


@pytest.mark.parametrize("text", ["", "  "])
@pytest.mark.parametrize("name", NAMES)
def test_an_empty_variable_is_not_set(name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variable counts as not set where it holds nothing, or nothing but blanks."""
    monkeypatch.setenv(f"SESSIONKIT_HISTORY_{name.upper()}", text)
    assert OF_THE_FILE.with_environment() == OF_THE_FILE


def test_a_place_of_a_higher_source_replaces_any_of_a_lower(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL of a higher source puts the path of a lower one out of force, and a path the URL."""
    argument = HistoryConfig.load(file, url="memory://")
    assert (argument.url, argument.db_path) == ("memory://", None)
    monkeypatch.setenv("SESSIONKIT_HISTORY_DB_PATH", "of the environment.db")
    for config in (argument.with_environment(), HistoryConfig.load(file, url="memory://")):
        assert (config.url, config.db_path) == (None, "of the environment.db")
    monkeypatch.delenv("SESSIONKIT_HISTORY_DB_PATH")
    monkeypatch.setenv("SESSIONKIT_HISTORY_URL", "jsonl:///chats")
    config = HistoryConfig.load(file, db_path="of the arguments.db")
    assert (config.url, config.db_path) == ("jsonl:///chats", None)


def test_two_places_in_one_source(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody could say which is meant; the error names the source."""
    both = {"url": "memory://", "db_path": "chats.db"}
    with pytest.raises(ConfigurationError, match=r"^url and db_path both say where"):
        HistoryConfig(**both)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] -- of a dict's values, it can't tell
    with pytest.raises(ConfigurationError, match=r"^the arguments: url and db_path both say where"):
        HistoryConfig.load(**both)
    file.write_text("[history]\nurl = 'memory://'\ndb_path = 'chats.db'\n")
    with pytest.raises(ConfigurationError, match=rf"\[history\] in {file}: url and db_path both say where"):
        HistoryConfig.load(file)
    monkeypatch.setenv("SESSIONKIT_HISTORY_URL", "memory://")
    monkeypatch.setenv("SESSIONKIT_HISTORY_DB_PATH", "chats.db")
    with pytest.raises(ConfigurationError, match="SESSIONKIT_HISTORY_URL and SESSIONKIT_HISTORY_DB_PATH both say"):
        HistoryConfig().with_environment()


WRONG: list[tuple[str, Any, str]] = [
    ("enabled", "yes", "enabled must be true or false, not text"),
    ("enabled", 1, "enabled must be true or false, not 1"),
    ("auto_save", [True], "auto_save must be true or false, not list"),
    ("url", 5, "url must be text, not 5"),
    ("url", f"nowhere:{SECRET}", "url: a backend's URL begins with a scheme"),
    ("db_path", True, "db_path must be the path of a file, not True"),
    ("db_path", "", "db_path must be the path of a file, not empty"),
    ("max_sessions", 0, "max_sessions must be a whole number of 1 or more, not 0"),
    ("max_sessions", 2.0, r"max_sessions must be a whole number of 1 or more, not 2\.0"),
    ("max_sessions", True, "max_sessions must be a whole number of 1 or more, not True"),
    ("max_sessions", SECRET, "max_sessions must be a whole number of 1 or more, not text"),
]


@pytest.mark.parametrize(("name", "value", "says"), WRONG)
def test_a_wrong_value(name: str, value: Any, says: str, file: Path) -> None:
    """The error names the key, where it stands and what was expected, and repeats no text, which may be a secret."""
    wrong = {name: value}
    with pytest.raises(ConfigurationError, match=f"^{says}") as of_class:
        HistoryConfig(**wrong)
    with pytest.raises(ConfigurationError, match=f"^the arguments: {says}") as of_argument:
        HistoryConfig.load(**wrong)
    file.write_text(
        f"[history]\n{name} = {str(value).lower() if isinstance(value, bool) else repr(value)}\n".replace(
            "[True]", "[true]"
        )
    )
    with pytest.raises(ConfigurationError, match=rf"^\[history\] in {file}: {says}") as of_file:
        HistoryConfig.load(file)
    assert not any(SECRET in str(error.value) for error in (of_class, of_argument, of_file))


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("ENABLED", "maybe", "enabled must be true or false, not text"),
        ("AUTO_SAVE", "2", "auto_save must be true or false, not text"),
        ("MAX_SESSIONS", "many", "max_sessions must be a whole number of 1 or more, not text"),
        ("MAX_SESSIONS", "1.5", "max_sessions must be a whole number of 1 or more, not text"),
        ("MAX_SESSIONS", "9" * 5000, "max_sessions must be a whole number of 1 or more, not text"),
        ("MAX_SESSIONS", "-3", "max_sessions must be a whole number of 1 or more, not -3"),
        ("URL", SECRET, "url: a backend's URL begins with a scheme"),
    ],
)
def test_a_wrong_variable(name: str, text: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable, and what was expected of it."""
    variable = f"SESSIONKIT_HISTORY_{name}"
    monkeypatch.setenv(variable, text)
    for read in (HistoryConfig.load, HistoryConfig().with_environment):
        with pytest.raises(ConfigurationError, match=f"^{variable}: {says}") as caught:
            read()
        assert SECRET not in str(caught.value)


def test_an_unknown_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that begins as ours do and is none is an error that names it and the known ones, as it has a typo."""
    monkeypatch.setenv("SESSIONKIT_HISTORY_MAX_SESSION", SECRET)
    monkeypatch.setenv("SESSIONKIT_HISTORY", "another one's")
    known = ", ".join(f"SESSIONKIT_HISTORY_{name.upper()}" for name in NAMES)
    says = f"^the environment: there is no SESSIONKIT_HISTORY_MAX_SESSION; known are {known}$"
    for read in (HistoryConfig.load, HistoryConfig().with_environment):
        with pytest.raises(ConfigurationError, match=says):
            read()
    monkeypatch.setenv("SESSIONKIT_HISTORY_DBPATH", "")
    with pytest.raises(ConfigurationError, match="no SESSIONKIT_HISTORY_DBPATH and no SESSIONKIT_HISTORY_MAX_SESSION;"):
        HistoryConfig.load()


def test_an_unknown_key(file: Path) -> None:
    """The error names it and the known ones."""
    known = "known are enabled, url, db_path, auto_save, max_sessions"
    with pytest.raises(ConfigurationError, match=f"^the arguments: there is no 'path'; {known}"):
        HistoryConfig.load(path="chats.db")
    file.write_text("[history]\nenabled = true\ndbpath = 'chats.db'\nAutoSave = true\n")
    with pytest.raises(
        ConfigurationError, match=rf"\[history\] in {file}: there is no 'AutoSave' and no 'dbpath'; {known}"
    ):
        HistoryConfig.load(file)


def test_a_file_that_can_not_be_read(tmp_path: Path, file: Path) -> None:
    """Missing, a directory, no TOML, no UTF-8 or no table: the error names the file and what is wrong."""
    with pytest.raises(ConfigurationError, match=rf"{tmp_path}/none\.toml can't be read: No such file"):
        HistoryConfig.load(tmp_path / "none.toml")
    with pytest.raises(ConfigurationError, match=f"{tmp_path} can't be read: Is a directory"):
        HistoryConfig.load(tmp_path)
    file.write_text("[history]\nenabled = yes\n")
    with pytest.raises(ConfigurationError, match=rf"{file} is no valid TOML: .*line 2"):
        HistoryConfig.load(file)
    file.write_bytes(b"[history]\ndb_path = '\xff'\n")
    with pytest.raises(ConfigurationError, match=f"{file} is no valid TOML: .*utf-8"):
        HistoryConfig.load(file)
    file.write_text("history = 5\n")
    with pytest.raises(ConfigurationError, match=rf"history in {file} must be a table, \[history\], not int"):
        HistoryConfig.load(file)


def test_a_repr_shows_no_secret() -> None:
    """Neither the password nor the options of a URL."""
    config = HistoryConfig(url=f"postgresql://agent:{SECRET}@host/db?sslpassword={SECRET}")
    assert "postgresql://agent:***@host/db" in repr(config)
    assert SECRET not in repr(config)
    assert config.backend_url == config.url


@pytest.mark.parametrize("name", ["chats.db", "a b/50%?#&.db", "Ä/😀.db"])
def test_a_path_is_opened_whatever_it_is_called(name: str, tmp_path: Path) -> None:
    """As a `Path` or as text, its directory being created."""
    for path in (tmp_path / name, str(tmp_path / name)):
        config = HistoryConfig(db_path=path)
        assert config.db_path == str(tmp_path / name)
        with open_backend(config.backend_url) as backend:
            assert backend.list_sessions() == []
        assert HistoryConfig.load(db_path=path) == config
    assert (tmp_path / name).exists()


def test_settings_are_imported_late() -> None:
    """The converter and TOML's parser only once there is something to read, and no backend before one is opened."""
    code = (
        "import sys\n"
        "from sessionkit.history.history import SessionHistory\n"
        "SessionHistory()\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment)
    imported = set(done.stdout.split())
    assert "sessionkit" in imported
    assert not imported & {"cattrs", "tomllib", "platformdirs", "sessionkit_sqlite", "sessionkit_memory"}
