"""Every package that the set-up's environment holds is named, with this version, by a lock file of scripts/.

What was installed by hand, or came with an earlier lock, would let a test pass here that fails on a fresh machine.
"""
import importlib.metadata
import pathlib
import re
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "scripts"
WITH_PYTHON = {"pip", "setuptools"}  # of a fresh virtual environment
OURS = {"samestep"}


def normalised(name):
    return re.sub(r"[-_.]+", "-", name).lower()


class Locked(unittest.TestCase):
    def test_the_environment_holds_what_the_lock_files_name_and_no_more(self):
        locked = {}
        for file in sorted(SCRIPTS.glob("requirements-*.txt")):
            for name, version in re.findall(r"^([\w.-]+)==(\S+)", file.read_text(), re.MULTILINE):
                locked[normalised(name)] = version
        self.assertIn("torch", locked)
        held = {normalised(each.metadata["Name"]): each.version for each in importlib.metadata.distributions()}
        apart = WITH_PYTHON | OURS
        kept, named = ({name: packages[name] for name in packages.keys() - apart} for packages in (held, locked))
        self.assertEqual(kept, named)


if __name__ == "__main__":
    unittest.main()
