"""The types of the contract. In a component they are those that its builder made; everywhere else the
same ones from this package, so that a rule can be looked at and tested as ordinary Python."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .contract import *
else:
    try:
        from wit_world.imports.types import *
    except ImportError:
        from .contract import *
