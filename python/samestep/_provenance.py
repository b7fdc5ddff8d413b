"""What code the program has loaded, told to the recorder at the first training event and once more at the end.

Only names and paths are told; the recorder reads and digests the files, beside the training.
"""
import os
import sys

from samestep import _text


def _file_of(module):
    """Where a module came from; None where it has no file. Asks the module's own dictionary: a lazy module would import
    something else to answer."""
    try:
        path = vars(module).get("__file__")
    except TypeError:  # whatever else stands in sys.modules
        return None
    return os.path.abspath(path) if isinstance(path, str) and path else None


def modules():
    """Names and paths of what is imported, by name."""
    found = [(name, _file_of(module)) for name, module in list(sys.modules.items()) if isinstance(name, str)]
    return sorted((name, path) for name, path in found if path is not None)


def tell(native, moment):
    """`moment`: "start" or "end"."""
    found = modules()
    folders = [os.path.abspath(entry) for entry in sys.path if isinstance(entry, str)]
    script = _file_of(sys.modules.get("__main__"))
    names, paths = [_text.utf8(name) for name, _ in found], [_text.path(path) for _, path in found]
    native.code(moment, _text.path(script or ""), names, paths, [_text.path(folder) for folder in folders])
