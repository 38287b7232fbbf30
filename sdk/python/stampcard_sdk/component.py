"""Between an author's rule and the contract: the exports of the component.

Whatever an author raises becomes a `fault` with message, file and line, and whatever an author answers
is held to the contract before it leaves: what does not fit would end the call with no word about why.
"""

import dataclasses
import enum
import json
import sys
import types as python
import typing

from componentize_py_types import Err
from wit_world.imports import log
from wit_world.imports import types as contract

from . import Rejected

#: The function of a rule for each role, its answer, and what it is if the rule says nothing.
ROLES = {
    "segment-rule": ("segments", contract.SegmentAnswer, 2),
    "point-formula": ("points", contract.PointAnswer, 1),
    "tier-rule": ("tier", contract.TierAnswer, 0),
    "follow-up-trigger": ("follow_ups", contract.FollowUpAnswer, 3),
}

NUMBER_MAX = 2**53 - 1
#: What holds numbers that have no sign.
UNSIGNED = (
    contract.Amount_BonusShare,
    contract.Coverage_Lines,
    contract.DiscountScope_Lines,
    contract.DiscountValue_Share,
    contract.Moment_Hours,
    contract.Moment_Days,
    contract.Moment_Months,
    contract.Moment_EndOfMonth,
    contract.Moment_EndOfYear,
)

# ---------------------------------------------------------------- the log


class Log:
    """What `print` writes to."""

    #: What a file says while the component is built, nobody reads.
    is_called = False

    def __init__(self, level):
        self.level = level
        self.rest = ""

    def write(self, text):
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            if Log.is_called:
                log.log(self.level, line)
        return len(text)

    def flush(self):
        if self.rest:
            self.write("\n")


sys.stdout = Log(log.Level.INFO)
sys.stderr = Log(log.Level.ERROR)

# ---------------------------------------------------------------- the exports


def exported(rule, roles):
    """The exports of a component with one rule, by their names."""
    made = {}

    class Lifecycle:
        def configure(self, configuration, shop):
            def act():
                config = json.loads(configuration)
                made["it"] = rule.configure(config, shop) if hasattr(rule, "configure") else config

            caught(act)

    exports = {"Lifecycle": Lifecycle}
    for role in roles:
        name, answer, lists = ROLES[role]
        function = getattr(rule, name, None)
        if not callable(function):
            raise AttributeError(f"the manifest names a role for which the rule has no function {name}(input, config)")
        exports["".join(part.capitalize() for part in role.split("-"))] = asked(function, answer, lists, made)
    return exports


def asked(function, answer, lists, made):
    class Role:
        def decide(self, input):
            def act():
                given = function(input, made["it"])
                if given is None:
                    given = nothing(answer, lists)
                check(given, answer, "")
                return given

            return caught(act)

    return Role


def nothing(answer, lists):
    after = contract.After(contract.Memory_Keep(), contract.NextReview_Keep(), None, None, [])
    decisions = [[] for _ in range(lists)] if lists else [None, None]
    return answer(*decisions, after)


def caught(act):
    """What is raised becomes the contract's refusal."""
    Log.is_called = True
    try:
        return act()
    except Rejected as no:
        raise Err(contract.Refusal_Rejected(str(no)))
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
        raise Err(contract.Refusal_Fault(contract.Fault(message, trace(error))))


def trace(error):
    """The author's own files and lines, the innermost first."""
    frames = []
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        frames.append((code.co_filename, step.tb_lineno, code.co_name))
        step = step.tb_next
    # What is ours is of no use to the author: what an answer lacks is in the message.
    own = [frame for frame in frames if "stampcard_sdk" not in frame[0]]
    # A component has its files below a folder with a number.
    named = [f"    at {name} ({file.lstrip('/').split('/', 1)[-1]}:{line})" for file, line, name in reversed(own)]
    return "\n".join(named)


# ---------------------------------------------------------------- answers

#: What each class of the contract has, looked up once, while the component is built.
FIELDS = {
    it: typing.get_type_hints(it)
    for it in vars(contract).values()
    if isinstance(it, type) and dataclasses.is_dataclass(it)
}


def check(value, hint, place):
    """Raises if a value is not what the contract has there."""
    where = place or "the answer"
    if hint in (int, str, bool, bytes):
        if type(value) is not hint:
            raise TypeError(f"{where}: {value!r} is no {hint.__name__}")
        if hint is int and abs(value) > NUMBER_MAX:
            raise ValueError(f"{where}: {value} is not a whole number from -{NUMBER_MAX} to {NUMBER_MAX}")
        return
    origin = typing.get_origin(hint)
    if origin in (typing.Union, python.UnionType):
        kinds = typing.get_args(hint)
        if value is None and type(None) in kinds:
            return
        kinds = [kind for kind in kinds if kind is not type(None)]
        if len(kinds) == 1:
            return check(value, kinds[0], place)
        if type(value) not in kinds:
            raise TypeError(f"{where}: {value!r} is none of {', '.join(kind.__name__ for kind in kinds)}")
        return check(value, type(value), place)
    if origin is list:
        if type(value) is not list:
            raise TypeError(f"{where}: {value!r} is no list")
        (kind,) = typing.get_args(hint)
        for index, item in enumerate(value):
            check(item, kind, f"{place}[{index}]")
        return
    if origin is tuple:
        kinds = typing.get_args(hint)
        if type(value) is not tuple or len(value) != len(kinds):
            raise TypeError(f"{where}: {value!r} is no tuple of {len(kinds)}")
        for index, kind in enumerate(kinds):
            check(value[index], kind, f"{place}[{index}]")
        return
    if type(value) is not hint:
        raise TypeError(f"{where}: {value!r} is no {hint.__name__}")
    if isinstance(value, enum.Enum):
        return
    for name, kind in FIELDS[hint].items():
        field = f"{place}.{name}" if place else name
        check(getattr(value, name), kind, field)
        if hint in UNSIGNED:
            numbers = getattr(value, name)
            for number in numbers if isinstance(numbers, list) else [numbers]:
                if not 0 <= number < 2**32:
                    raise ValueError(f"{field}: {number} is not a whole number from 0 to {2**32 - 1}")
