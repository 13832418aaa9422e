"""Is a whole store in order? Looks at every session of any backend, and mends what can be mended.

The kinds of `Finding`:

| kind | what it is |
| --- | --- |
| ``structure`` | the file or the database itself is damaged, or can't be opened |
| ``corrupt-message`` | a message that can't be read |
| ``corrupt-session`` | a session's own record can't be read |
| ``torn-record`` | the end of a write that was cut off |
| ``counts`` | counts that are not what counting the messages gives |
| ``index`` | a search that forgets a message, or finds what is not there |
| ``orphan`` | what belongs to no session, such as a left-over temporary file |
| ``order`` | times, or an order, that can't be |
| ``listing`` | lists and the calls about one session disagree |
| ``permissions`` | what may not be read, or may be read by others |
| ``stuck`` | a turn that gives no sign of life |
| ``set-aside`` | a note: records that an earlier repair has set aside |
"""

from sessionkit.doctor.diagnosis import Diagnosis, diagnose, open_to_look
from sessionkit.doctor.examination import Examination, examine
from sessionkit.models import Finding
from sessionkit.protocol import SupportsCheck

__all__ = ["Diagnosis", "Examination", "Finding", "SupportsCheck", "diagnose", "examine", "open_to_look"]
