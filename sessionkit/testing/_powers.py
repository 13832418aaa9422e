"""What may be asked of a backend that is to be proven: what it declares, in the words of `_worker`."""

from sessionkit import Capabilities, Support
from sessionkit.protocol import OPTIONAL_PROTOCOLS
from sessionkit.testing._worker import SETTERS

_READ_BY = {
    "set_session_name": "get_session_name",
    "set_session_agent_alias": "get_session_agent_alias",
    "set_session_state": "get_session_state",
    "begin_turn": "get_session_state",
}
"""The getter of what a setter sets; of any other, `get_session_metadata`."""


def offers(declared: Capabilities, name: str) -> bool:
    """Whether the method or the optional protocol is declared; the four required methods always are."""
    if name in OPTIONAL_PROTOCOLS:
        return name in declared.protocols
    return declared.methods.get(name, Support.NATIVE) is not Support.UNSUPPORTED


def is_native(declared: Capabilities, name: str) -> bool:
    """Whether the method is declared as the backend's own."""
    return declared.methods[name] is Support.NATIVE


def setters(declared: Capabilities) -> list[str]:
    """The methods that set something which can be read."""
    return [name for name in SETTERS if _can_set(declared, name)]


def fields(declared: Capabilities) -> list[str]:
    """What can be set and read, by the names that `look` knows."""
    return list(dict.fromkeys(field for name in setters(declared) for field in SETTERS[name]))


def operations(declared: Capabilities) -> list[str]:
    """What a process does until it is killed: what is promised to be one step, some of it more often."""
    chosen = ["append", "append", "append", "remove_last", "compact", *setters(declared)]
    for name in ("update_last", "clear_messages", "delete_session"):
        chosen += [name] * is_native(declared, name)
    chosen += ["write"] * offers(declared, "SupportsWrite")
    chosen += ["set_turn_state"] * offers(declared, "SupportsTurnState")  # where a turn runs
    chosen += ["restore"] * 6 * offers(declared, "SupportsRestore")  # possible only where nothing is
    return chosen


def _can_set(declared: Capabilities, name: str) -> bool:
    offered = offers(declared, "SupportsTurns" if name == "begin_turn" else name)
    getter = _READ_BY.get(name)
    return offered and (offers(declared, getter) if getter else is_native(declared, "get_session_metadata"))
