"""The wheel, as a user has it: built of this build folder, installed by pip into a fresh virtual environment that sees a
torch, away from the repository, then used. No network. About 40 s on two idle cores.

Standard library only; run by the Python whose torch the package was built against.
"""
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = os.environ["SAMESTEP_BUILD"]
TOOLS_PYTHON = os.environ["SAMESTEP_TOOLS_PYTHON"]  # has pip and scikit-build-core
PACKAGES = pathlib.Path(importlib.util.find_spec("torch").origin).parents[1]
BUILD_TOOLS = ("scikit_build_core", "packaging", "pathspec")
SCRIPT = """
import torch
torch.manual_seed(3)
model = torch.nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(3):
    optimizer.zero_grad()
    model(torch.randn(5, 4)).square().mean().backward()
    optimizer.step()
print("weights", model.weight.sum().item())
"""


def call(*words, cwd, code=0, **variables):
    """What it printed; nothing of the tests' own surroundings reaches it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_", "SAMESTEP_"))}
    environment = {**kept, "PYTHONDONTWRITEBYTECODE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", **variables}
    done = subprocess.run([str(word) for word in words], cwd=cwd, env=environment, capture_output=True, text=True, timeout=600)
    if done.returncode != code:
        raise AssertionError(f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done


def links(folder, source, names):
    """A folder of links to the packages of those names: what an environment would have, and nothing else."""
    folder.mkdir()
    for name in names:
        (folder / name).symlink_to(source / name)
    return folder


class Environment:
    """A fresh virtual environment; `sees`: a folder of packages that it has besides its own; options of venv."""

    def __init__(self, folder, sees, *options):
        self.folder, self.python = folder, folder / "bin" / "python"
        call(sys.executable, "-m", "venv", *options, folder, cwd=folder.parent)
        self.packages = next((folder / "lib").glob("python3*")) / "site-packages"
        if sees is not None:
            (self.packages / "torch.pth").write_text(f"{sees}\n")

    def call(self, *words, cwd, code=0, **variables):
        """A command as typed with the environment switched on."""
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        return call(*words, cwd=cwd, code=code, PATH=path, VIRTUAL_ENV=str(self.folder), **variables)


class Wheel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="samestep-wheel-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        (cls.folder / "script.py").write_text(SCRIPT)
        call(TOOLS_PYTHON, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index", "-w", cls.folder / "dist",
             f"--config-settings=cmake.define.SAMESTEP_PREBUILT={BUILD}", SOURCE, cwd=cls.folder,
             PATH=f"{pathlib.Path(TOOLS_PYTHON).parent}:{os.environ['PATH']}")
        cls.wheel, = (cls.folder / "dist").glob("*.whl")
        # The torch of this Python and what it needs, but not a samestep that is installed beside it.
        everything = [entry.name for entry in PACKAGES.iterdir() if not entry.name.startswith(("samestep", "pip", "__"))]
        cls.torch = links(cls.folder / "torch-alone", PACKAGES, [name for name in everything if not name.endswith(".pth")])
        cls.environment = Environment(cls.folder / "venv", cls.torch)
        cls.environment.call("pip", "install", "--no-deps", "--no-index", cls.wheel, cwd=cls.folder)

    def record(self, environment=None, code=0):
        """Standard output and error of a recording of the script, and its run."""
        run = pathlib.Path(tempfile.mkdtemp(dir=self.folder)) / "run"
        samestep = self.environment.folder / "bin" / "samestep"
        python = (environment or self.environment).python
        done = self.environment.call(samestep, "record", "--run", run, "--", python, "script.py", cwd=self.folder, code=code)
        return done.stdout, done.stderr, run

    def steps(self, run):
        return json.loads(self.environment.call("samestep", "inspect", run, "--json", cwd=self.folder).stdout)["steps"]

    def test_serves_any_cpython_3(self):
        self.assertRegex(self.wheel.name, r"^samestep-[0-9.]+-py3-none-linux_\w+\.whl$")
        library = self.environment.packages / "samestep" / "libsamestep_python.so"
        needed = call("readelf", "--dynamic", library, cwd=self.folder).stdout
        self.assertIn("libtorch_cpu.so", needed)
        for absent in ("libtorch_python", "libpython", "RPATH", "RUNPATH"):
            self.assertNotIn(absent, needed)

    def test_holds_package_program_and_hook(self):
        names = zipfile.ZipFile(self.wheel).namelist()
        for end in ("samestep/__init__.py", "samestep/_built.py", "samestep/libsamestep_python.so", "scripts/samestep",
                    "data/share/samestep/hook/sitecustomize.py", "data/lib/samestep/libsamestep_files.so"):
            self.assertTrue(any(name.endswith(end) for name in names), f"{end} is not among {names}")
        self.assertFalse([name for name in names if "__pycache__" in name or "samestep-train" in name])

    def test_records_and_replays_away_from_the_repository(self):
        plain = self.environment.call("python", "script.py", cwd=self.folder).stdout
        printed, said, run = self.record()
        self.assertEqual(printed, plain)
        self.assertNotIn("unrecorded", said)
        self.assertNotIn("is not seen", said)  # which files it reads and writes
        self.assertEqual(self.steps(run), 3)
        verdict = json.loads(self.environment.call("samestep", "replay", run, "--json", cwd=self.folder).stdout)
        self.assertEqual((verdict["verdict"], verdict["steps_compared"]), ("same", 3))

    def test_pip_knows_what_it_installed(self):
        shown = self.environment.call("pip", "show", "--files", "samestep", cwd=self.folder).stdout
        self.assertIn("bin/samestep", shown)
        version = self.environment.call("samestep", "--version", cwd=self.folder).stdout
        self.assertIn(shown.split("Version: ")[1].split()[0], version)

    def test_a_python_without_the_package_is_told_what_to_type(self):
        bare = Environment(self.folder / "bare", self.torch, "--without-pip")
        printed, said, run = self.record(bare)
        self.assertIn("weights", printed)
        lines = [line for line in said.splitlines() if "unrecorded" in line]
        self.assertEqual(len(lines), 1, said)
        self.assertIn(f"{bare.python} has no package samestep", lines[0])
        self.assertIn(f"{bare.python} -m pip install .", lines[0])
        self.assertEqual(self.steps(run), 0)

    def test_another_torch_is_told_before_it_is_used(self):
        built = self.environment.packages / "samestep" / "_built.py"
        text = built.read_text()
        self.addCleanup(built.write_text, text)
        built.write_text('TORCH = "2.11.0"\n')
        printed, said, run = self.record()
        self.assertIn("weights", printed)
        lines = [line for line in said.splitlines() if "2.11.0" in line]
        self.assertEqual(len(lines), 1, said)
        self.assertIn("pip install", lines[0])
        self.assertIn("unrecorded", lines[0])
        self.assertEqual(self.steps(run), 0)
        imported = self.environment.call("python", "-c", "import torch, samestep; print('went on')", cwd=self.folder)
        self.assertEqual(imported.stdout, "went on\n")
        self.assertEqual(imported.stderr.count("was built for torch 2.11.0"), 1, imported.stderr)

    # --- the torch to build against

    def backend(self, python, question, code=0, **variables):
        tools = self.folder / "tools"
        if not tools.exists():
            where = call(TOOLS_PYTHON, "-c", "import scikit_build_core; print(scikit_build_core.__path__[0])", cwd=self.folder)
            links(tools, pathlib.Path(where.stdout.strip()).parent, BUILD_TOOLS)
        path = f"{tools}:{SOURCE / 'python' / 'packaging'}"
        hidden = variables.pop("PYTHONPATH", "")
        return call(python, "-c", question, cwd=SOURCE, code=code, PYTHONPATH=f"{hidden}:{path}" if hidden else path, **variables)

    def test_a_build_finds_the_torch_that_pips_isolation_hides(self):
        """The isolation as pip makes it: a sitecustomize that takes the environment's packages off the module path."""
        isolation = self.folder / "isolation"
        isolation.mkdir()
        (isolation / "sitecustomize.py").write_text(
            "import sys\nsys.path[:] = [entry for entry in sys.path if 'site-packages' not in entry and 'torch-alone' not in entry]\n")
        hidden = self.environment.call("python", "-c", "import torch", cwd=self.folder, code=1, PYTHONPATH=str(isolation))
        self.assertIn("ModuleNotFoundError", hidden.stderr)
        asked = self.backend(self.environment.python, "import backend, sys; print(*backend.torch_of(sys.executable))",
                             PYTHONPATH=str(isolation), PYTHONNOUSERSITE="1")
        self.assertEqual(asked.stdout.split()[0], str(self.torch / "torch"))

    def test_a_build_without_torch_says_so_in_one_line(self):
        alone = Environment(self.folder / "alone", None, "--without-pip")
        refused = self.backend(alone.python, "import backend; backend.get_requires_for_build_wheel()", code=1)
        self.assertEqual(len(refused.stderr.splitlines()), 1, refused.stderr)
        self.assertIn("has no torch", refused.stderr)
        self.assertIn("pip install .", refused.stderr)


if __name__ == "__main__":
    unittest.main()
