"""Trees of arrays in files.

`save` and `load` are the way to keep parameters: a compact, checksummed file in msgpack, safe to load wherever it comes
from. `save_pickle` and `load_pickle` are for your own files, where the tree holds more than plain containers. Both
write atomically: a file is either the old one or the whole new one, whatever happens in between.

>>> import nrx
>>> import tempfile
>>> path = tempfile.mkdtemp() + "/model.nrx"
>>> nrx.io.save(path, {"weights": nrx.numpy.arange(3), "names": ("a", "b")})
>>> nrx.io.load(path)
{'weights': Array([0, 1, 2], dtype=int32), 'names': ('a', 'b')}
"""

from nrx.io.pickled import load_pickle, save_pickle
from nrx.io.tree_file import load, save

__all__ = ["save", "load", "save_pickle", "load_pickle"]
