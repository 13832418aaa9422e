"""Picking a backend by URL."""

import functools
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import platformdirs
import pytest

from sessionkit import (
    BackendClosedError,
    BackendUnavailableError,
    BackendURL,
    BackendURLError,
    ChatMessage,
    open_backend,
    register_backend,
    registry,
)
from sessionkit.registry import BUILT_IN, default_url, known_schemes
from sessionkit_memory import MemoryBackend
from tests.toys import DictBackend

if TYPE_CHECKING:
    from elsewhere import Unknown  # type: ignore[import-not-found]  # pyright: ignore[reportMissingImports] -- on purpose


@pytest.fixture(autouse=True)
def _no_registrations(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.delenv("SESSIONKIT_URL", raising=False)


@pytest.fixture(name="install")
def _install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Install a distribution that claims schemes: its name, its module's source, and its entry points."""

    def install(name: str, source: str, **schemes: str) -> None:
        root = tmp_path / name
        info = root / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (root / f"{name}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [f"{scheme} = {target}\n" for scheme, target in schemes.items()]
        (info / "entry_points.txt").write_text("".join(["[sessionkit.backends]\n", *lines]))
        monkeypatch.syspath_prepend(root)

    return install


# -- options ---------------------------------------------------------------------------------------------------------

SECRET = "s3cr3t"  # noqa: S105 -- of nothing


def with_options(
    _: BackendURL,
    *,
    flag: bool = False,
    level: Literal["low", "high"] = "low",
    count: int = 0,
    token: str = "",
    wait: float | None = None,
) -> DictBackend:
    """A factory with options of several types."""
    del wait  # only its type matters
    backend = DictBackend()
    backend.append(f"{flag} {level} {count} {token}", ChatMessage("user"))
    return backend


def broken(_: BackendURL) -> None:
    """A factory that forgets to return anything."""


@pytest.mark.parametrize(
    "url",
    [
        "{}://user:{}@host:port/",
        "{}://user:{}@[host/",
        "{}://user:{}@host/%ff",
        "{}://user:{}@host/x#y",
        "{}://user:{}@host/x?y",
        "{}://user:{}@host/?count=1&count=2",
        "{}://user:{}@host/?unknown=1",
        "{}://user:{}@host/?count=many",
        "{}://user:{}@host/?level=middle",
        "{}://user:{}@host/?count={}",
        "{}://user:{}@host/?level={}",
        "{}://user:12/{}@host/",
        "{}://user:1?{}@host/",
        "{}://user:1#{}@host/",
        "{}://us\ner:{}@host/",
        "user:{}{}@host/",
    ],
)
@pytest.mark.parametrize("scheme", ["fine", "broken", "nobodys", "memory"])
def test_no_error_shows_a_secret(url: str, scheme: str) -> None:
    """Not in its text, its repr, its causes or its traceback, whatever is wrong with the URL."""
    register_backend("fine", with_options)
    register_backend("broken", broken)  # type: ignore[arg-type]
    with pytest.raises(BackendURLError) as caught:
        open_backend(url.format(scheme, SECRET, SECRET))
    error: BaseException | None = caught.value
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    while error is not None:
        assert SECRET not in f"{error} {error!r} {error.args}"
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize(
    ("query", "given_options", "expected"),
    [
        ("", {}, "False low 0 "),
        ("?flag=true&level=high&count=-3&token=5", {}, "True high -3 5"),
        ("?flag=1", {"count": 2}, "True low 2 "),
        ("?flag=FALSE&token=", {"level": "high"}, "False high 0 "),
        ("?wait=inf", {}, "False low 0 "),
        ("?wait=null", {}, "False low 0 "),
        ("", {"wait": 3}, "False low 0 "),
        ("", {"wait": None}, "False low 0 "),
    ],
)
def test_options_get_the_types_that_the_factory_declares(
    query: str, given_options: dict[str, Any], expected: str
) -> None:
    """Those of the URL are turned into them; those of the call are of them already."""
    register_backend("toy", with_options)
    with open_backend(f"toy://{query}", **given_options) as backend:
        assert backend.list_sessions() == [expected]


@pytest.mark.parametrize(
    ("query", "given_options", "error"),
    [
        ("?flag=perhaps", {}, "option 'flag' must be bool"),
        ("?count=1.5", {}, "option 'count' must be int"),
        ("?count=", {}, "option 'count' must be int"),
        ("?level=middle", {}, "option 'level' must be one of low, high"),
        ("?sort=up", {}, "toy has no option 'sort'; known are flag, level, count, token, wait"),
        ("", {"sort": "up"}, "toy has no option 'sort'; known are flag, level, count, token, wait"),
        ("?wait=nan", {}, "option 'wait' can't be NaN"),
        ("", {"flag": 1}, "option 'flag' must be bool"),
        ("", {"count": 1.5}, "option 'count' must be int"),
        ("", {"count": True}, "option 'count' must be int"),
        ("", {"count": "1"}, "option 'count' must be int"),
        ("", {"level": "middle"}, "option 'level' must be one of low, high"),
        ("", {"level": None}, "option 'level' must be one of low, high"),
        ("", {"token": b"x"}, "option 'token' must be str"),
        ("", {"wait": "x"}, r"option 'wait' must be float \| None"),
        ("", {"wait": float("nan")}, "option 'wait' can't be NaN"),
        ("?count=1", {"count": 1}, "option 'count' is given twice: in the URL and in the call"),
        ("?count=1&count=1", {}, "option 'count' is given twice"),
    ],
)
def test_a_wrong_option_is_refused(query: str, given_options: dict[str, Any], error: str) -> None:
    """Whether it stands in the URL or in the call: the error says what it must be, and nothing is opened."""
    register_backend("toy", with_options)
    with pytest.raises(BackendURLError, match=error):
        open_backend(f"toy://{query}", **given_options)


def test_a_backend_without_options_says_so() -> None:
    """And one that takes anything is given texts."""

    def anything(_: BackendURL, **options: object) -> DictBackend:
        backend = DictBackend()
        backend.append(repr(options), ChatMessage("user"))
        return backend

    register_backend("anything", anything)
    register_backend("plain", lambda _: DictBackend())
    with pytest.raises(BackendURLError, match="plain has no option 'a'; there are none"):
        open_backend("plain://?a=1")
    assert open_backend("anything://?a=1", b=2).list_sessions() == ["{'a': '***', 'b': 2}"]  # its repr hides it


def test_factories_of_every_kind_declare_their_options() -> None:
    """A class, a partial, an annotation as text, no annotation."""

    class Opened(DictBackend):
        def __init__(self, _: BackendURL, *, size: "int" = 1, name=None) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001 -- on purpose  # pyright: ignore[reportMissingParameterType] -- likewise
            super().__init__()
            self.append(f"{size!r} {name!r}", ChatMessage("user"))

    register_backend("class", Opened)
    register_backend("partial", functools.partial(Opened, name="fixed"))
    assert open_backend("class://?size=2&name=3").list_sessions() == ["2 '***'"]  # its repr hides it
    assert open_backend("partial://?size=2").list_sessions() == ["2 'fixed'"]


def test_an_option_whose_type_no_text_has_is_refused() -> None:
    """As is one whose type can't be looked up; in the call both can be given."""

    def factory(_: BackendURL, *, hook: Callable[[], None] | None = None) -> DictBackend:
        assert hook is None or callable(hook)
        return DictBackend()

    def unknown(_: BackendURL, *, thing: "Unknown" = None) -> DictBackend:  # pyright: ignore[reportUnknownParameterType] -- on purpose
        assert thing == 1
        return DictBackend()

    def ambiguous(_: BackendURL, *, some: list[int] | set[int] = []) -> DictBackend:  # noqa: B006 -- of no matter
        assert some == {1}
        return DictBackend()

    register_backend("hooked", factory)
    register_backend("unknown", unknown)
    register_backend("ambiguous", ambiguous)
    with pytest.raises(BackendURLError, match="option 'some' must be"):
        open_backend("ambiguous://?some=1")
    open_backend("ambiguous://", some={1}).close()
    with pytest.raises(BackendURLError, match="option 'hook' must be"):
        open_backend("hooked://?hook=print")
    with pytest.raises(BackendURLError, match="no types that can be read"):
        open_backend("unknown://?thing=1")
    open_backend("hooked://", hook=lambda: None).close()
    open_backend("unknown://", thing=1).close()


# -- schemes ---------------------------------------------------------------------------------------------------------


def test_an_unknown_scheme_is_refused() -> None:
    """Naming those that are known."""
    with pytest.raises(
        BackendURLError, match=r"no backend knows the scheme 'nobodys'; known are jsonl, memory, sqlite$"
    ):
        open_backend("nobodys://")


@pytest.mark.parametrize("scheme", ["", "1a", "A", "a b", "a:", "ä"])
def test_what_is_no_scheme_can_not_be_registered(scheme: str) -> None:
    """As it could not stand in a URL."""
    with pytest.raises(BackendURLError, match="a scheme is a lower-case letter"):
        register_backend(scheme, with_options)


@pytest.mark.parametrize("factory", [None, "sessionkit_memory:open_url", DictBackend()])
def test_what_can_not_be_called_is_no_factory(factory: Any) -> None:
    """It is refused when it is registered, and the scheme stays unknown."""
    with pytest.raises(TypeError, match=f"{type(factory).__name__} can't be"):
        register_backend("toy", factory)
    assert "toy" not in known_schemes()


def test_registering_the_same_factory_twice_is_no_second_claim() -> None:
    """As a module that is imported twice does."""
    register_backend("toy", with_options)
    register_backend("toy", with_options)
    open_backend("toy://").close()


def test_two_registered_claims_are_an_error_that_names_both() -> None:
    """When the scheme is opened; functions of one name are two as well."""

    def make() -> Callable[[BackendURL], DictBackend]:
        def factory(_: BackendURL) -> DictBackend:
            return DictBackend()

        return factory

    register_backend("toy", with_options)
    register_backend("toy", make())
    register_backend("other", make())
    register_backend("other", make())
    with pytest.raises(BackendURLError, match=r"'toy' is claimed more than once: .*:with_options and .*:.*factory"):
        open_backend("toy://")
    with pytest.raises(BackendURLError, match="'other' is claimed more than once"):
        open_backend("other://")
    register_backend("third", functools.partial(with_options))
    register_backend("third", with_options)
    with pytest.raises(BackendURLError, match=r"functools:partial and .*:with_options"):
        open_backend("third://")
    open_backend("memory://").close()


def test_a_claim_to_a_built_in_scheme_is_an_error_that_names_both() -> None:
    """Nobody takes the place of a built-in backend unseen."""
    register_backend("memory", with_options)
    with pytest.raises(
        BackendURLError, match=r"sessionkit's own sessionkit_memory:open_url and the registered .*with_"
    ):
        open_backend("memory://")


TOY = "from tests.toys import DictBackend\ndef open_url(url, *, size: int = 1):\n    return DictBackend()\n"


def test_an_installed_distribution_is_found(install: Callable[..., None]) -> None:
    """By its entry point, the name of which is the scheme; its options are typed too."""
    install("toy_one", TOY, toy="toy_one:open_url")
    assert known_schemes() == ["jsonl", "memory", "sqlite", "toy"]
    open_backend("toy://?size=3").close()
    with pytest.raises(BackendURLError, match="option 'size' must be int"):
        open_backend("toy://?size=x")


def test_an_installed_claim_beside_another_is_an_error_that_names_both(install: Callable[..., None]) -> None:
    """Whether the other is installed, registered or built in."""
    install("toy_two", TOY, toy="toy_two:open_url", memory="toy_two:open_url", mine="toy_two:open_url")
    install("toy_three", TOY, toy="toy_three:open_url")
    register_backend("mine", with_options)
    for scheme, both in {
        "toy": "toy_three's toy_three:open_url and toy_two's toy_two:open_url",
        "memory": "sessionkit's own sessionkit_memory:open_url and toy_two's toy_two:open_url",
        "mine": "toy_two's toy_two:open_url and the registered ",
    }.items():
        with pytest.raises(BackendURLError, match=f"{scheme!r} is claimed more than once: {both}"):
            open_backend(f"{scheme}://")


@pytest.mark.parametrize(
    ("name", "source", "error"),
    [
        ("toy_empty", "", "can't be imported: .*open_url"),
        ("toy_importing", "import nothing_of_that_name", "can't be imported: No module named 'nothing_of_that_name'"),
        ("toy_raising", "1 / 0", "can't be imported: division by zero"),
        ("toy_uncallable", "open_url = 5", "can't be called with a URL"),
        ("toy_giving_none", "def open_url(url): return 5", "gave no backend: int is no backend: it lacks load"),
    ],
)
def test_a_broken_distribution_is_an_error_of_ours(
    install: Callable[..., None], name: str, source: str, error: str
) -> None:
    """Naming scheme and distribution; the others can be opened all the same."""
    install(name, source, brk=f"{name}:open_url")
    with pytest.raises(BackendURLError, match=f"the .*scheme 'brk'.*{error}"):
        open_backend("brk://")
    open_backend("memory://").close()


# -- opening ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", BUILT_IN)
def test_built_in_schemes_are_opened(scheme: str, tmp_path: Path) -> None:
    """By a URL, or by its parts."""
    path = "" if scheme == "memory" else f"{tmp_path}/store"
    for url in (f"{scheme}:///{path}" if path else f"{scheme}://", BackendURL(scheme, path=path)):
        with open_backend(url=url) as backend:
            backend.append("k", ChatMessage("user", "Hello"))
            assert backend.load("k")[-1] == ChatMessage("user", "Hello")
        backend.close()
        with pytest.raises(BackendClosedError):
            backend.load("k")


def test_a_backend_without_close_is_wrapped() -> None:
    """It can be used in `with`, and refuses calls after it."""
    register_backend("toy", with_options)
    with open_backend("toy://") as backend:
        backend.append("k", ChatMessage("user"))
    with pytest.raises(BackendClosedError, match="this DictBackend is closed"):
        backend.load("k")


def test_without_a_url_the_environment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """`$SESSIONKIT_URL`, with its options; a URL that is given wins."""
    register_backend("toy", with_options)
    monkeypatch.setenv("SESSIONKIT_URL", "toy://?count=7")
    assert open_backend().list_sessions() == ["False low 7 "]
    with open_backend("memory://") as backend:
        assert isinstance(backend, MemoryBackend)


def test_without_any_it_is_sqlite_in_the_users_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Which is created; an empty variable counts as none, and odd characters in the path as themselves."""
    home = tmp_path / "us er%23#?"

    def user_data_path(name: str, *, appauthor: bool) -> Path:
        assert (name, appauthor) == ("sessionkit", False)
        return home

    monkeypatch.setattr(platformdirs, "user_data_path", user_data_path)
    monkeypatch.setenv("SESSIONKIT_URL", "")
    assert BackendURL.parse(default_url()) == BackendURL("sqlite", path=str(home / "sessions.db"))
    with open_backend() as backend:
        backend.append("k", ChatMessage("user", "Hello"))
    assert (home / "sessions.db").is_file()


def test_a_users_directory_that_can_not_be_made_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Saying to give a URL."""

    def user_data_path(*_: object, **__: object) -> Path:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(platformdirs, "user_data_path", user_data_path)
    with pytest.raises(BackendUnavailableError, match=r"can't be used .*; give a URL"):
        open_backend()
