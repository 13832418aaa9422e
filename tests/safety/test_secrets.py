"""A password in a URL reaches nobody: no message, repr, traceback, warning, chain of errors, argument of a process."""

import io
import logging
import subprocess
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import attrs
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from sessionkit import (
    BackendUnavailableError,
    BackendURL,
    BackendURLError,
    CoreBackend,
    SessionBackend,
    SessionKitError,
    capabilities,
    open_backend,
    register_backend,
    with_defaults,
)
from sessionkit import registry as sessionkit_registry
from sessionkit.cli.commands import cli
from sessionkit.secret import VISIBLE, Secret, shows
from sessionkit.testing import Grade, SessionBackendSuite, run_promise
from tests.toys import DictBackend

SECRET = "hunter2-s3cr3t"  # noqa: S105 -- of nothing
TOKEN = "t0ken-0f-nobody"  # noqa: S105 -- likewise
URL = f"guarded://me:{SECRET}@example.org:1/db?token={TOKEN}"


class GuardedBackend(DictBackend, SessionBackend):
    """A made-up backend behind a password."""

    def __init__(self, url: BackendURL, token: str) -> None:
        super().__init__()
        self.url, self.token = url, token

    def load(self, session_key: str, /) -> Any:
        """Fails, as a server may."""
        if session_key == "gone":
            address, password, token = str(self.url), self.url.password, self.token
            raise BackendUnavailableError(f"{address} does not answer", retryable=True) from OSError(
                f"after {len(password or '') + len(token)} bytes"
            )
        return super().load(session_key)

    def __repr__(self) -> str:
        return f"GuardedBackend({self.url!r})"


def open_guarded(url: BackendURL, *, token: str = "", refuse: str = "") -> CoreBackend:
    """Its factory, which may refuse a URL with the words of a driver."""
    if refuse == "telling":
        raise ValueError(f"could not connect with {url.password}")
    if refuse == "chained":
        try:
            raise OSError(f"bad dsn {url.password}")
        except OSError as error:
            raise ValueError("bad dsn") from error
    if refuse == "silent":
        raise ValueError("no such database")
    return GuardedBackend(url, token)


def guard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have its scheme opened."""
    monkeypatch.setattr(sessionkit_registry, "_registered", {})
    register_backend("guarded", open_guarded)


@pytest.fixture(autouse=True)
def _guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    guard(monkeypatch)


def ours(error: BaseException) -> Iterator[tuple[str, dict[str, object]]]:
    """The frames of sessionkit in the tracebacks of an error and of all that it came from, with their variables."""
    seen: set[int] = set()
    links: list[BaseException | None] = [error]
    while links:
        link = links.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        links += [link.__cause__, link.__context__]
        step: TracebackType | None = link.__traceback__
        while step is not None:
            if "sessionkit" in str(step.tb_frame.f_globals.get("__name__")):
                yield step.tb_frame.f_code.co_qualname, dict(step.tb_frame.f_locals)
            step = step.tb_next


def hides(error: BaseException, *secrets: str) -> None:
    """Neither its text, nor its arguments, nor its causes, nor a traceback with the variables of our frames."""
    text = "".join(traceback.format_exception(error))
    for secret in secrets:
        assert secret not in text, "a traceback shows it"
        assert not shows(error, secret), "an error shows it, or one that it came from"
        for name, variables in ours(error):
            for variable, value in variables.items():
                assert secret not in repr(value), f"{variable} of {name} shows it, as rich and sentry print variables"


BAD_URLS = [
    f"nosuch://me:{SECRET}@host/",
    f"guarded://me:{SECRET}@host:port/",
    f"guarded://me:{SECRET}@host:99999/",
    f"guarded://me:{SECRET}@host/a@b",
    f"guarded://me:{SECRET}@host/%ff",
    f"guarded://me:{SECRET}@host/#x",
    f"guarded://me:{SECRET}@host/\n",
    f"guarded://me:{SECRET}@host/\udcff",
    f"guarded://me:{SECRET}@host/?x",
    f"guarded://me:{SECRET}@host/?nosuch=1",
    f"guarded://me:{SECRET}@host/?token=1&token=2",
    f"guarded://me:{SECRET}@host/?refuse=telling",
    f"guarded://me:{SECRET}@host/?refuse=chained",
    f"guarded://me:{SECRET}@host/?refuse=silent",
    f"sqlite://me:{SECRET}@host/x",
    f"jsonl://me:{SECRET}@host/x",
    f"memory://me:{SECRET}@host/x",
    f"guarded:/me:{SECRET}@host",
    f"me:{SECRET}@host://x",
]


def refusing_hides_the_password(url: str) -> None:
    """Whoever refuses the URL, and for whatever reason."""
    for refuse in (open_backend, lambda url: open_backend(BackendURL.parse(url))):
        with pytest.raises(SessionKitError) as caught:
            refuse(url)
        hides(caught.value, SECRET)


@pytest.mark.parametrize("url", BAD_URLS)
def test_no_refusal_shows_the_password(url: str) -> None:
    """In its words, its arguments, its causes, or the variables of our frames."""
    refusing_hides_the_password(url)


def test_an_option_is_not_shown_either() -> None:
    """Of another type than wanted, unknown, or refused by the factory: a token in the query is as secret."""
    for url in (
        f"guarded://?refuse=silent&token={TOKEN}",
        f"guarded://?nosuch={TOKEN}",
        f"memory://?max_message_bytes={TOKEN}",
    ):
        with pytest.raises(BackendURLError) as caught:
            open_backend(url)
        hides(caught.value, TOKEN)


def test_what_the_factory_says_is_kept_where_it_is_harmless() -> None:
    """And its error is the cause; where it shows the password, the words say so."""
    with pytest.raises(BackendURLError, match="no such database") as caught:
        open_backend(f"{URL}&refuse=silent")
    assert isinstance(caught.value.__cause__, ValueError)
    with pytest.raises(BackendURLError, match="would show the password") as caught:
        open_backend(f"{URL}&refuse=chained")
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def shown_everywhere(url: str) -> str:
    """All that a backend and its URL show of themselves, or have logged, warned and raised, without being asked."""
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    logging.getLogger().addHandler(handler)
    parsed = BackendURL.parse(url)
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            backend = open_backend(url)
            backend.set_session_name("k", "name")  # which it can't: a warning
            logging.getLogger("test").warning("%r %s %r", backend, parsed, [parsed, {"url": parsed}])
            with pytest.raises(BackendUnavailableError) as caught:
                backend.load("gone")
            hides(caught.value, SECRET, TOKEN)
            backend.close()
    finally:
        logging.getLogger().removeHandler(handler)
    shown = [parsed, parsed.query, attrs.evolve(parsed, path="x"), attrs.asdict(parsed), attrs.astuple(parsed)]
    shown += [
        backend,
        vars(with_defaults(GuardedBackend(parsed, ""))),
        capabilities(backend),
        [w.message for w in warned],
    ]
    return said.getvalue() + repr(shown) + f"{parsed} {parsed!r} {str(parsed)!a}"


def nothing_shows_it() -> None:
    """Neither the URL nor the backend."""
    shown = shown_everywhere(URL)
    assert SECRET not in shown
    assert TOKEN not in shown


def test_neither_the_url_nor_the_backend_shows_it() -> None:
    """In reprs, logs and warnings, also of what attrs makes of the URL; whoever asks for it by name is given it."""
    nothing_shows_it()
    parsed = BackendURL.parse(URL)
    assert parsed.password == SECRET
    assert f"{parsed.password}" == str(parsed.password) == SECRET
    assert dict(parsed.query) == {"token": TOKEN}
    assert parsed.password.encode() == SECRET.encode()


@given(st.text(min_size=4))
def test_any_password_is_hidden_and_kept(text: str) -> None:
    """Percent-encoded as whoever writes URLs must, whatever its characters."""
    from urllib.parse import quote  # noqa: PLC0415 -- only here

    try:
        parsed = BackendURL.parse(f"guarded://me:{quote(text, safe='', errors='surrogatepass')}@host/db")
    except BackendURLError:
        assert not text.isprintable()  # a lone surrogate is no text
        return
    assert parsed.password == text
    assert repr(parsed.password) == repr(Secret(text)) == "'***'"
    assert str(parsed) == "guarded://me:***@host/db"


def arguments_of_children(call: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What other users see in the list of processes, of those that the call starts."""
    started: list[str] = []
    popen = subprocess.Popen

    def noting(command: list[Any], **options: Any) -> Any:
        started.extend(map(str, command))
        return popen(command, **options)

    monkeypatch.setattr(subprocess, "Popen", noting)
    call()
    return started


@pytest.mark.slow
def test_the_suites_processes_are_given_no_url_as_an_argument(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that write beside it."""
    url = f"sqlite:///{tmp_path}/here.db"

    class OnDisk(SessionBackendSuite):
        def make_backend(self) -> CoreBackend:
            return open_backend(url)

        def address(self, backend: object) -> str:
            del backend
            return url

    seen = arguments_of_children(lambda: run_promise(OnDisk(), "processes.see-writes"), monkeypatch)
    assert any("_worker" in each for each in seen)
    assert not [each for each in seen if str(tmp_path) in each]


_TELLING = """
from sessionkit_memory import MemoryBackend

class Telling(MemoryBackend):
    def load(self, key, /):
        raise KeyError(f"can not log in with {self.password}")

def open_url(url):
    backend = Telling()
    backend.password = url.password
    return backend
"""


@pytest.mark.slow
def test_the_runners_process_hides_the_password_and_what_a_backend_says_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The process that it runs the suite in is given no URL as an argument, and its report repeats no secret."""
    from sessionkit.testing import __main__ as runner  # noqa: PLC0415 -- it imports pytest's plugin

    (tmp_path / "telling.py").write_text(_TELLING)
    information = tmp_path / "telling-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: telling\nVersion: 1\n")
    (information / "entry_points.txt").write_text("[sessionkit.backends]\ntelling = telling:open_url\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("SESSIONKIT_URL", f"telling://me:{SECRET}@host/{{store}}")
    status: list[int] = []
    seen = arguments_of_children(lambda: status.append(runner.main(["-k", "load.unknown"])), monkeypatch)
    said = capfd.readouterr()
    assert status == [1], said.err
    assert "can not log in with ***" in said.out
    assert SECRET not in said.out + said.err
    assert "sessionkit.testing.url_tests" in seen
    assert not [each for each in seen if SECRET in each]


def test_a_password_on_the_command_line_is_warned_of() -> None:
    """Other users see it there: the warning names the variable to set. Without a password there is none."""
    result = CliRunner().invoke(cli, ["list", "--url", URL])
    assert VISIBLE in result.stderr
    assert "SESSIONKIT_URL" in VISIBLE
    assert SECRET not in result.output + result.stderr
    assert VISIBLE not in CliRunner().invoke(cli, ["list", "--url", "memory://"]).stderr
    assert VISIBLE not in CliRunner().invoke(cli, ["list"], env={"SESSIONKIT_URL": URL}).stderr


def test_the_suites_promise_holds_for_a_backend_behind_a_password() -> None:
    """`secrets.never-shown`, of a made-up backend whose URL has one."""

    class GuardedSuite(SessionBackendSuite):
        def make_backend(self) -> CoreBackend:
            return open_backend(URL)

        def address(self, backend: object) -> str:
            del backend
            return URL

        def wreck(self, backend: object) -> bool:
            del backend
            return False

    assert run_promise(GuardedSuite(), "secrets.never-shown") is not Grade.BROKEN
