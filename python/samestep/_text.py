"""Python's text as C++ can hold it, which is UTF-8. Python spells the other bytes of a path as lone surrogates, and torch
refuses those."""
import os


def utf8(text):
    """Lone surrogates as escapes, as Python itself prints them on standard error; other text as it is."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def path(text):
    """The bytes that name the file."""
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:  # no path of this system's: a module may call its file what it likes
        return utf8(text)
