"""Where a test's stores are."""

from pathlib import Path


def url_of(scheme: str, folder: Path) -> str:
    """A URL of the scheme, for a store in the folder where it has a place."""
    return "memory://" if scheme == "memory" else f"{scheme}:///{folder}/store"
