"""The public names of the package and of its layers."""

import ast
from functools import cache
from inspect import isclass, isroutine
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

import sessionkit
from sessionkit import aio, history, providers

packages = pytest.mark.parametrize("package", [sessionkit, history, providers, aio])


@packages
def test_all_is_the_namespace(package: ModuleType) -> None:
    """Every public name of a package is in its `__all__`, once, and nothing else is; ruff keeps their order."""
    public = [name for name, value in vars(package).items() if name[0] != "_" and not isinstance(value, ModuleType)]
    assert sorted(package.__all__) == sorted(public)


@packages
def test_every_public_name_is_documented(package: ModuleType) -> None:
    """Each has a docstring of its own, and what can have none, such as a text, says beneath what it is."""
    for name in package.__all__:
        value = getattr(package, name)
        own = vars(value)["__doc__"] if isclass(value) else value.__doc__ if isroutine(value) else name in described()
        assert own, name


@cache
def described() -> set[str]:
    """The names of values that are set in a module of the package, with a text beneath."""
    files = Path(sessionkit.__file__).parent.rglob("*.py")
    statements = [pair for file in files for pair in pairwise(ast.parse(file.read_bytes()).body)]
    return {
        target.id
        for defined, text in statements
        if isinstance(defined, ast.Assign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
        for target in defined.targets
        if isinstance(target, ast.Name)
    }
