"""Control flow: functions of functions that become one operation of a Program."""

from nrx.control.conditional import cond, switch
from nrx.control.loops import fori_loop, while_loop
from nrx.control.scan import map, scan
from nrx.control.solvers import custom_linear_solve, custom_root

__all__ = ["cond", "custom_linear_solve", "custom_root", "fori_loop", "map", "scan", "switch", "while_loop"]
