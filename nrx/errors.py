"""Every exception of nrx, and the names by which programs for JAX catch them.

>>> import nrx
>>> try:
...     nrx.jit(lambda x: x if x > 0 else -x)(1.0)
... except nrx.errors.TracerBoolConversionError as error:
...     print(error.fix[:40])
use nrx.numpy.where or nrx.lax.cond inst
"""

from nrx.core.errors import *  # noqa: F403
from nrx.core.errors import (
    IndexingError,
    LeakedTracerError,
    ProgramError,
    TracerArrayError,
    TracerBoolError,
    TracerError,
    TracerIntegerError,
)

JAXTypeError = ConcretizationTypeError = TracerError
TracerBoolConversionError = TracerBoolError
TracerIntegerConversionError = TracerIntegerError
TracerArrayConversionError = TracerArrayError
UnexpectedTracerError = LeakedTracerError
JAXIndexError = NonConcreteBooleanIndexError = IndexingError
JaxprTypeError = ProgramError
#: Of the devices, and of arrays whose memory was given away; a lack of memory is a `MemoryError`.
JaxRuntimeError = RuntimeError
