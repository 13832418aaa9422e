"""What `open_backend` passes on, and what stands ready for the store that nobody names."""

from pathlib import Path
from typing import NoReturn

import platformdirs
import pytest

from sessionkit import BackendUnavailableError, BackendURL, BackendURLError, open_backend, register_backend, registry
from sessionkit.registry import default_url


@pytest.fixture(autouse=True)
def _no_registrations(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(registry, "_registered", {})


@pytest.mark.parametrize("error", [BackendURLError("my own words"), BackendUnavailableError("my own words")])
def test_a_factorys_own_error_comes_out_as_it_is(error: Exception) -> None:
    """A factory that says in our terms what is wrong knows best."""

    def factory(_: BackendURL) -> NoReturn:
        raise error

    register_backend("toy", factory)
    with pytest.raises(type(error), match=r"^my own words$") as caught:
        open_backend("toy://")
    assert caught.value is error


def test_a_factorys_value_error_is_about_an_option() -> None:
    """As it is where an option's type is right and its value is not."""

    def factory(_: BackendURL, *, size: int = 1) -> NoReturn:
        raise ValueError(f"size {size} is too small")

    register_backend("toy", factory)
    with pytest.raises(BackendURLError, match=r"^an option of toy is wrong: size 0 is too small$"):
        open_backend("toy://?size=0")


def test_the_users_directory_is_made_for_the_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the folders that lead to it, before anything is opened there."""
    folder = tmp_path / "data" / "sessionkit"
    monkeypatch.setattr(platformdirs, "user_data_path", lambda *_, **__: folder)  # pyright: ignore[reportUnknownLambdaType]
    assert default_url() == f"sqlite:///{folder}/sessions.db"
    assert [path.stat().st_mode & 0o777 for path in (folder, folder.parent)] == [0o700, 0o700]
