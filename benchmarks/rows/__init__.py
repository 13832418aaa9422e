"""The rows of the table, a module a subject; each has a list `ROWS`."""

from importlib import import_module
from pkgutil import iter_modules

from benchmarks.measure import Row


def all_rows() -> tuple[Row, ...]:
    """Those of every module here, by name."""
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    return tuple(sorted((row for module in modules for row in module.ROWS), key=lambda row: row.name))
