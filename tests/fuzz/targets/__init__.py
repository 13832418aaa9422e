"""Every target, by its name."""

from tests.fuzz.target import Target
from tests.fuzz.targets import codec, history, importing, jsonl, names, search, urls

TARGETS: dict[str, Target] = {
    module.TARGET.name: module.TARGET for module in (codec, history, importing, jsonl, names, search, urls)
}
