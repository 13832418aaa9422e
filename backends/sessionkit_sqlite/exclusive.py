"""The lock that knows whether its holder is still there."""

from sessionkit.exclusive import Exclusive, frame_at

__all__ = ["Exclusive", "frame_at"]
