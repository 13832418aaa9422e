"""The public names of the package."""

from types import ModuleType

import sessionkit


def test_all_is_the_namespace() -> None:
    """Every public name of `sessionkit` is in `__all__`, once, and nothing else is; ruff keeps their order."""
    public = [name for name, value in vars(sessionkit).items() if name[0] != "_" and not isinstance(value, ModuleType)]
    assert sorted(sessionkit.__all__) == sorted(public)


def test_every_public_name_is_documented() -> None:
    """Each has a docstring of its own."""
    for name in sessionkit.__all__:
        assert getattr(sessionkit, name).__doc__, name
