"""The public names of `sessionkit.aio`."""

from inspect import isclass, isfunction
from types import ModuleType

from sessionkit import aio


def test_all_is_the_namespace() -> None:
    """Every public name is in `__all__`, once, and nothing else is."""
    public = [name for name, value in vars(aio).items() if name[0] != "_" and not isinstance(value, ModuleType)]
    assert sorted(aio.__all__) == sorted(public)


def test_every_public_name_is_documented() -> None:
    """Each class and function has a docstring of its own."""
    for name in aio.__all__:
        value = getattr(aio, name)
        assert value.__doc__ or not (isclass(value) or isfunction(value)), name
