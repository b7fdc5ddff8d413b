"""A bisect over a long made history of a training program (tests/system/made_histories.py), beside `git bisect run` that trains
each revision whole: the steps that each of them makes, and seconds.

  culprit.py [--bin .venv/bin] [--language cpp|python] [--commits 1000] [--steps 2000] [--since STEP] [--kind sign] [--width 4] [-j 1]

Both build every revision in C++ that they try, in the same build folder's manner (only what changed). git's runs take no care of wrong
answers and none of revisions that a merge brought. Both must name the right commit, or the benchmark fails.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "system"))
from made_histories import CHANGES, History, git  # noqa: E402

RUN = """{build} >/dev/null 2>&1 || exit 125
echo >> {count}
said=$({train}) || exit 125
test "$said" = "{expected}"
"""
BUILD = "cmake --build build"


def call(*words, cwd, env=None):
    done = subprocess.run([str(word) for word in words], cwd=cwd, env=env, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


class Bench:
    def __init__(self, options, folder):
        self.options, self.folder, self.repository = options, folder, folder / "repository"
        self.samestep = options.bin / "samestep"
        self.env = {**os.environ, "PATH": f"{options.bin}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1",
                    "XDG_CACHE_HOME": str(folder / "cache"), "WIDTH": str(options.width)}
        self.compiled = options.language == "cpp"
        self.train = ("build/train",) if self.compiled else (options.bin / "python", "train.py")

    def call(self, *words):
        return call(*words, cwd=self.repository, env=self.env)

    def make(self):
        options = self.options
        history = History(options.language, options.commits, options.kind, options.since)
        self.ids = history.write(self.repository)
        self.culprit = self.ids[history.culprit]
        git(self.repository, "checkout", "-q", self.ids[0])
        if not self.compiled:
            return
        self.call("cmake", "-S", ".", "-B", "build", "-G", "Ninja", f"-DCMAKE_PREFIX_PATH={options.bin.parent}",
                  f"-DSAMESTEP_PYTHON={options.bin / 'python'}", "-DCMAKE_BUILD_TYPE=Release")
        self.call(*BUILD.split())

    def by_samestep(self):
        words = (*self.train, self.options.steps)
        self.call(self.samestep, "record", "--run", "run", "--anchor-every", 32, "--", *words)
        git(self.repository, "checkout", "-q", "main")
        began = time.perf_counter()
        found = json.loads(self.call(self.samestep, "bisect", "run", "--json", "-j", self.options.jobs, "--good", self.ids[0],
                                     "--bad", "main", *(("--build", BUILD) if self.compiled else ()), "--", *words))
        assert found["culprit"]["commit"] == self.culprit, found
        return found["trials"], found["steps_replayed"], time.perf_counter() - began

    def by_git(self):
        git(self.repository, "checkout", "-q", self.ids[0])
        if self.compiled:
            self.call(*BUILD.split())
        expected = self.call(*self.train, self.options.steps).strip()
        count = self.folder / "count"
        script = self.folder / "run.sh"
        train = " ".join(map(str, (*self.train, self.options.steps)))
        script.write_text(RUN.format(build=BUILD if self.compiled else "true", count=count, train=train, expected=expected))
        self.call("git", "bisect", "start", "main", self.ids[0])
        began = time.perf_counter()
        said = self.call("git", "bisect", "run", "sh", script)
        seconds = time.perf_counter() - began
        assert f"{self.culprit} is the first bad commit" in said, said
        runs = count.read_text().count("\n")
        return runs, runs * self.options.steps, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=lambda text: pathlib.Path(text).resolve(), default=pathlib.Path(sys.executable).parent)
    parser.add_argument("--language", choices=("cpp", "python"), default="cpp")
    parser.add_argument("--commits", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--since", type=int, help="the step from which the culprit counts (default: the middle)")
    parser.add_argument("--kind", choices=sorted(CHANGES), default="sign")
    parser.add_argument("--width", type=int, default=4, help="of the model's layers: what a step costs")
    parser.add_argument("-j", "--jobs", type=int, default=1)
    options = parser.parse_args()
    options.since = options.steps // 2 + 7 if options.since is None else options.since
    with tempfile.TemporaryDirectory(prefix="samestep-bench-") as folder:
        bench = Bench(options, pathlib.Path(folder))
        bench.make()
        print(f"{options.language}, {options.commits} commits, {options.steps} steps, width {options.width}, {options.kind} from step {options.since} on")
        ours, gits = bench.by_samestep(), bench.by_git()
        for name, (trials, steps, seconds) in (("samestep bisect", ours), ("git bisect run", gits)):
            print(f"  {name:<16} {trials} trials, {steps} steps, {seconds:.1f} s")
        print(f"  git / samestep: {gits[1] / ours[1]:.1f} times the steps, {gits[2] / ours[2]:.2f} times the seconds")


if __name__ == "__main__":
    main()
