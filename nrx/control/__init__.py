"""Control flow: functions of functions that become one operation of a Program."""

from nrx.control.conditional import cond, switch
from nrx.control.loops import fori_loop, while_loop
from nrx.control.scan import map, scan

__all__ = ["cond", "fori_loop", "map", "scan", "switch", "while_loop"]
