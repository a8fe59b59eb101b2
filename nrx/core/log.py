"""What nrx tells those who ask: messages to Python's logger "nrx"."""

import importlib


def log(message: str) -> None:
    """Log a message, as a warning, so that it is seen without any set-up."""
    # Imported when it is needed, so that `import nrx` stays quick.
    importlib.import_module("logging").getLogger("nrx").warning("%s", message)
