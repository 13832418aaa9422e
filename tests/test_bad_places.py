"""Places and URLs that can't be used: a clear error of ours, nothing changed, no secret shown."""

import os
import shutil
import sqlite3
import tempfile
import traceback
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sessionkit import BackendUnavailableError, BackendURLError, ChatMessage, CorruptSessionError, open_backend
from sessionkit.registry import BUILT_IN
from tests.places import url_of

SECRET = "s3cr3t"  # noqa: S105 -- of nothing
GOOD = ChatMessage("user", "Hello")

ON_DISK = sorted(set(BUILT_IN) - {"memory"})


def use(url: str) -> None:
    """Open it and write something."""
    with open_backend(url) as backend:
        backend.append("new", GOOD)


@contextmanager
def unprivileged() -> Generator[None]:
    """As a user who may not write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture(name="public_folder")
def _public_folder() -> Iterator[Path]:
    """A folder that everybody may read, with a folder in it that everybody may write."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "open").mkdir(mode=0o777)
    (folder / "open").chmod(0o777)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.parametrize("scheme", ON_DISK)
def test_a_folder_that_can_not_be_written_is_an_error_of_ours(scheme: str, public_folder: Path) -> None:
    """Naming the place; no retry helps, nothing was stored, and nothing is left behind."""
    with unprivileged():
        use(url_of(scheme, public_folder / "open"))  # also imports what it needs
    public_folder.chmod(0o555)
    with unprivileged(), pytest.raises(BackendUnavailableError, match=str(public_folder)) as caught:
        use(url_of(scheme, public_folder))
    assert not caught.value.retryable
    assert isinstance(caught.value.__cause__, (OSError, sqlite3.Error))
    assert [path.name for path in public_folder.iterdir()] == ["open"]


@pytest.mark.parametrize("mode", ["rw", "ro"])
@pytest.mark.parametrize("scheme", ON_DISK)
def test_a_place_that_can_not_be_looked_at_is_an_error_of_ours(scheme: str, mode: str, public_folder: Path) -> None:
    """In a folder that is closed to this user, or under a name that no file system takes."""
    with unprivileged():
        use(url_of(scheme, public_folder / "open"))  # also imports what it needs
    (public_folder / "closed").mkdir(mode=0o700)
    for folder in (public_folder / "closed" / "x", public_folder / "open" / ("x" * 300)):
        with unprivileged(), pytest.raises(BackendUnavailableError, match=str(folder)):
            use(f"{url_of(scheme, folder)}?mode={mode}")


@pytest.mark.parametrize("scheme", ON_DISK)
def test_a_file_in_the_way_is_an_error_of_ours(scheme: str, tmp_path: Path) -> None:
    """Where a folder should be; it is left as it was."""
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(BackendUnavailableError, match=str(file)):
        use(url_of(scheme, file))
    assert file.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to be taken for one" * 100, b"short", b"\0" * 4096]
)
def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path, content: bytes) -> None:
    """Nothing is written to it or beside it."""
    file = tmp_path / "store"
    file.write_bytes(content)
    with pytest.raises(BackendUnavailableError, match="is no SQLite database; nothing was changed"):
        use(f"sqlite:///{file}")
    assert file.read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_a_folder_where_the_database_should_be_is_an_error_of_ours(tmp_path: Path) -> None:
    """As is a database where the folder of files should be."""
    with pytest.raises(BackendUnavailableError, match=f"{tmp_path} is no regular file"):
        use(f"sqlite:///{tmp_path}")
    assert not Path(f"{tmp_path}-lock").exists()
    use(f"sqlite:///{tmp_path}/file")
    with pytest.raises(BackendUnavailableError, match=f"{tmp_path}/file"):
        use(f"jsonl:///{tmp_path}/file")


def test_a_database_from_the_future_is_left_alone(tmp_path: Path) -> None:
    """The error says to use a newer sessionkit, also where it is only read; so is another program's database."""
    file = tmp_path / "store"
    url = f"sqlite:///{file}"
    use(url)
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    before = file.read_bytes()
    for future in (url, f"{url}?mode=ro"):
        with (
            pytest.raises(BackendUnavailableError, match=r"layout 999, .*use a newer sessionkit; nothing was changed"),
            open_backend(future) as backend,
        ):
            backend.load("new")
    assert file.read_bytes() == before
    foreign = tmp_path / "foreign"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    before = foreign.read_bytes()
    with pytest.raises(BackendUnavailableError, match="another program's database"):
        use(f"sqlite:///{foreign}")
    assert foreign.read_bytes() == before


def test_a_file_of_messages_from_the_future_is_left_alone(tmp_path: Path) -> None:
    """It is one session that can't be used; the error says to use a newer sessionkit."""
    url = url_of("jsonl", tmp_path)
    use(url)
    [file] = (tmp_path / "store").glob("new*")
    future = file.read_text().replace('"sessionkit":1', '"sessionkit":999', 1)
    file.write_text(future)
    with pytest.raises(CorruptSessionError, match=r"version 999, .*use a newer one") as caught:
        use(url)
    assert str(file) in str(caught.value)
    assert file.read_text() == future


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("nobodys://user:{}@host/", "no backend knows the scheme 'nobodys'"),
        ("memory://user:{}@host/", "memory:// names no place"),
        ("sqlite://user:{}@host/x.db", "by its path alone: sqlite:///"),
        ("jsonl://user:{}@host/x", "jsonl:///rel/dir"),
        ("memory://:{}@", "memory:// names no place"),
        ("memory://:1", "memory:// names no place"),
        ("sqlite://:{}@/x.db", "by its path alone: sqlite:///"),
        ("sqlite://:1/x.db", "by its path alone: sqlite:///"),
        ("sqlite:///a%00b.db", "by its path alone: sqlite:///"),
        ("sqlite://user:{}@host/x.db?nothing=1", "sqlite has no option 'nothing'; known are "),
        ("jsonl://user:{}@host/x?nothing=1", "jsonl has no option 'nothing'; known are "),
        ("memory://user:{}@host/x?nothing=1", "memory has no option 'nothing'; known are "),
        ("sqlite://user:{}@host/x.db?synchronous=perhaps", "option 'synchronous' must be one of "),
        ("sqlite:///x.db?busy_timeout=-1", "an option of sqlite is wrong: busy_timeout must be 0 or more, not -1"),
        ("jsonl:///x?lock_timeout=-0.5", "an option of jsonl is wrong: lock_timeout must be 0 or more, not -0.5"),
        ("memory://?max_message_bytes=-1", "an option of memory is wrong: max_message_bytes must be 0 or more"),
        ("sqlite:///x\udcff.db", "a sqlite URL can't name what is no UTF-8"),
        ("sqlite://user:{}@host:x/x.db", "the sqlite URL can't be read"),
        ("jsonl://user:{}@host/x?mode=rw&mode=ro", "option 'mode' is given twice"),
    ],
)
def test_a_bad_url_with_a_password_shows_what_is_wrong_and_no_secret(url: str, error: str) -> None:
    """Not in the error, its causes or the traceback, and not in the representation of the backend."""
    with pytest.raises(BackendURLError, match=error) as caught:
        open_backend(url.format(SECRET))
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    link: BaseException | None = caught.value
    while link is not None:
        assert SECRET not in f"{link} {link!r} {link.args}"
        link = link.__cause__ or link.__context__
