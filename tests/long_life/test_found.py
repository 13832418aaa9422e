"""What long lives have found."""

from types import FrameType

from sessionkit.exclusive import Exclusive, frame_at


class GivenMeanwhile(Exclusive):
    """Its holder lets go of it just when who waits has seen that it is held."""

    given = 0

    def is_held_below(self, frame: FrameType | None) -> bool:
        """Looked at after the holder has given it to who has waited longest, as `pass_on` does."""
        self.given += 1
        self.holder[None] = self.waiting.popleft()[0]
        return super().is_held_below(frame)

    def recover(self) -> None:
        """Nothing was left."""


def test_who_is_given_a_lock_has_not_interrupted_itself() -> None:
    """A waiter that finds its own frame as the holder holds it: nobody is in its way, least of all itself."""
    lock = GivenMeanwhile()
    lock.holder[None] = "another thread"
    user = frame_at(0)
    assert lock.take(user, 5)
    assert lock.holder == {None: user}
    assert lock.given == 1
