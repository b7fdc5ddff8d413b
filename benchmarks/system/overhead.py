#!/usr/bin/env python3
"""What recording and replaying cost a whole training, end to end.

    overhead.py [--bin .venv/bin] [--rounds 10] [--steps 150]
                [tokens-768 | tokens-16384 | python-768 | python-16384 | replay | start-up | python-start-up |
                 forward-768 | forward-16384 | pins-tokens-768 | pins-python-768]...

Recording is measured as a user has it: defaults, anchors on, the recorder beside the trainer. The same program with the
session off, under the same pins (environment and --deterministic), takes turns with it; each round gives one ratio, so
that slow drift of the machine cancels. Bits are checked before any time is told: both must leave the same weights.
Both run with glibc's allocator told to keep freed memory (KEEP_MEMORY; --default-malloc leaves it as it is): else it gives
the activations back to the system and takes them again in every step, which at 16,384 tokens is half of the step and
varies with the heap's layout. Printed are the median of the rounds' ratios and their quartiles, and, out of the recording's own log, the time per step
spent in digests (capture) and waiting for the recorder. Needs h5py for that part. python-*: the same with a PyTorch script (benchmarks/python/gpt.py).
forward-*: that script on its way to an anchor without computing, beside the same steps of the recording.
pins-*: nothing is recorded; the program with a recording's pins and deterministic algorithms, beside the same without.
"""
import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

WARM_UP = 10  # steps that are not counted: pages, caches and threads are new
DENSE = 32  # steps at the start of a run that all have statistics, sketches and syndromes; later every 16th has
FIRST_FORWARDED = 4  # the first steps on the way ask each operator for its shapes
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 34)}
PYTHON = pathlib.Path(__file__).resolve().parents[1] / "python"
SHAPES = {"tokens-768": ["--batch", "12", "--block", "64"], "tokens-16384": ["--batch", "64", "--block", "256"]}


def call(*command, env=None):
    env = {**(os.environ if env is None else env), **MALLOC}
    done = subprocess.run([str(word) for word in command], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


MALLOC = dict(KEEP_MEMORY)


def in_turns(number, first, second):
    """The results of both, in that order; in every other round the second one runs first."""
    if number % 2 == 0:
        return first(), second()
    result = second()
    return first(), result


def quartiles(values):
    low, middle, high = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
    return f"{middle:8.4f}   [{low:.4f} .. {high:.4f}]"


class Bench:
    def __init__(self, options, folder):
        self.samestep, self.train = options.bin / "samestep", options.bin / "samestep-train"
        self.options, self.folder = options, folder

    def training(self, shape, name, steps):
        files = [self.folder / f"{name}.times", self.folder / f"{name}.weights"]
        if shape.startswith("python"):
            return [*self.script(shape), "--deterministic", "--steps", steps, "--step-times", files[0], "--save", files[1]], *files
        command = [self.train, "--model", "gpt", *SHAPES[shape], "--steps", steps, "--eval-every", "0", "--eval-batches", "1",
                   "--deterministic", "--step-times", files[0], "--save", files[1]]
        return command, *files

    def script(self, shape):
        text = self.options.bin.parent / "share" / "samestep" / "bible.txt"
        return [self.options.bin / "python", PYTHON / "gpt.py", text, *SHAPES[shape.replace("python", "tokens")]]

    def pins(self, run):
        """The environment that a recording gave its program."""
        pinned = json.loads((run / "manifest.json").read_text())["what"]["pins"]
        set_pins = {pin["name"]: pin["value"] for pin in pinned if pin.get("value") is not None}
        return {**os.environ, **set_pins}

    def plain(self, shape, steps, env, pinned=True):
        command, times, weights = self.training(shape, "plain", steps)
        call(*(word for word in command if pinned or word != "--deterministic"), env=env)
        return step_times(times), weights.read_bytes()

    def record(self, shape, steps, name):
        command, times, weights = self.training(shape, "recorded", steps)
        run = self.folder / name
        call(self.samestep, "record", "--run", run, "--", *command)
        return step_times(times), weights.read_bytes(), run

    def recording(self, shape):
        steps = self.options.steps if shape.endswith("-768") else max(2 * DENSE, self.options.steps // 6)
        _, _, first = self.record(shape, WARM_UP + 2, f"{shape}-warm")  # file digests are cached from here on
        env = self.pins(first)
        means, medians, plain_ms, runs = [], [], [], []
        for i in range(self.options.rounds):
            (plain, plain_weights), (recorded, recorded_weights, run) = in_turns(
                i, lambda: self.plain(shape, steps, env), lambda: self.record(shape, steps, f"{shape}-{i}"))
            if plain_weights != recorded_weights:
                sys.exit(f"{shape}: recording changed the final weights")
            means.append(sum(recorded) / sum(plain))
            medians.append(statistics.median(recorded) / statistics.median(plain))
            plain_ms.append(statistics.median(plain))
            runs.append(run)
        print(f"\n{shape}: {len(means)} rounds of {steps} steps, bits equal; a plain step takes {statistics.median(plain_ms):.2f} ms")
        print("  recorded / plain, all time      ", quartiles(means))
        print("  recorded / plain, median step   ", quartiles(medians))
        self.parts(runs, statistics.median(plain_ms))

    def pinning(self, shape):
        steps = self.options.steps
        _, _, first = self.record(shape, WARM_UP + 2, f"{shape}-warm")
        env, ratios, free_ms, equal = self.pins(first), [], [], True
        for i in range(self.options.rounds):
            (free, weights), (pinned, pinned_weights) = in_turns(
                i, lambda: self.plain(shape, steps, None, pinned=False), lambda: self.plain(shape, steps, env))
            equal = equal and weights == pinned_weights
            ratios.append(statistics.median(pinned) / statistics.median(free))
            free_ms.append(statistics.median(free))
        print(f"\n{shape}: {len(ratios)} rounds of {steps} steps, bits {'equal' if equal else 'differ'}; without pins a step takes "
              f"{statistics.median(free_ms):.2f} ms")
        print("  with pins / without, median step", quartiles(ratios))

    def parts(self, runs, plain_ms):
        try:
            import h5py
        except ImportError:
            print("  (no h5py: the parts are not shown)")
            return
        rows = []
        for run in runs:
            with h5py.File(next(run.glob("log-r0000-s*.h5")), "r") as log:
                rows += list(log["steps"][WARM_UP:len(log["log_chain"])])  # whose length counts the committed steps
        first, later = ([row for row in rows if (row["step"] < DENSE) == dense] for dense in (True, False))
        self.part(f"capture, first {DENSE} steps", first, "capture_ns", plain_ms)
        self.part("capture, later steps", later, "capture_ns", plain_ms)
        self.part("waiting for the recorder", rows, "waited_ns", plain_ms)
        seen = json.loads(call(self.samestep, "inspect", runs[-1], "--json"))
        print(f"  log: {seen['bytes_per_step']:.0f} bytes a step, {len(seen['anchors'])} anchors")

    def part(self, label, rows, field, plain_ms):
        if rows:
            mean = statistics.fmean(int(row[field]) for row in rows) / 1e6
            median = statistics.median(int(row[field]) for row in rows) / 1e6
            print(f"  {label:<26} mean {mean:7.3f} ms a step, {100 * mean / plain_ms:6.3f}% of a plain step; median {median:.3f} ms")

    def replay(self):
        shape, steps = "tokens-768", self.options.steps
        _, _, run = self.record(shape, steps, "to-replay")
        env = self.pins(run)
        ratios = []
        for _ in range(self.options.rounds):
            plain, _ = self.plain(shape, steps, env)
            call(self.samestep, "replay", run)
            replayed = step_times(self.folder / "recorded.times")
            ratios.append(sum(plain) / sum(replayed))
        print(f"\nreplay, all {steps} steps compared")
        print("  speed of replay / plain training", quartiles(ratios))

    def forward(self, shape):
        """What a step costs that is left out on the way to an anchor."""
        anchor, ratios, run = 12, [], self.folder / f"forward-{shape}"
        command = [*self.script(shape), "--steps", anchor + 2, "--step-times", "/dev/stdout"]
        printed = call(self.samestep, "record", "--run", run, "--anchor-every", anchor, "--", *command)
        recorded = printed_times(printed)[FIRST_FORWARDED:anchor]
        for _ in range(self.options.rounds):
            answer = json.loads(call(self.samestep, "replay", run, "--from", anchor, "--json"))
            if answer["verdict"] != "same" or "without being computed" not in " ".join(answer["evidence"]):
                sys.exit(f"{shape}: {json.dumps(answer)}")
            output = max(pathlib.Path("samestep-runs").glob(f"*-replay-{run.name}/output.txt"), key=os.path.getmtime)
            forwarded = printed_times(output.read_text())[FIRST_FORWARDED:anchor]
            ratios.append(statistics.median(forwarded) / statistics.median(recorded))
        print(f"\n{shape}: a recorded step takes {statistics.median(recorded):.2f} ms (median of {len(recorded)})")
        print("  left out / recorded, median step", quartiles(ratios))

    def start_up(self):
        run = self.folder / "for-start-up"
        call(self.samestep, "record", "--run", run, "--", self.train, "--model", "mlp", "--batch", "64", "--steps", "50")
        print("\nstart-up, milliseconds, median of 30")
        for words in (["--help"], ["--version"], ["record", "--help"], ["inspect", run], ["diff", run, run]):
            times = [self.milliseconds(self.samestep, *words) for _ in range(30)]
            print(f"  samestep {' '.join(str(w) if not isinstance(w, pathlib.Path) else 'RUN' for w in words):<16} {quartiles(times)}")
        times = [self.milliseconds(self.samestep, "record", "--run", self.folder / f"true-{i}", "--", "/bin/true") for i in range(10)]
        print(f"  samestep {'record -- true':<16} {quartiles(times)}")

    def python_start_up(self):
        """From the process's start until its first step is made, as the process itself sees it; and the whole command."""
        python, script = self.options.bin / "python", PYTHON / "first_step.py"
        plain, recorded, whole_plain, whole_recorded = [], [], [], []
        for i in range(self.options.rounds + 1):
            record = [self.samestep, "record", "--run", self.folder / f"first-{i}", "--", python, script]
            for command, own, whole in (([python, script], plain, whole_plain), (record, recorded, whole_recorded)):
                began = time.perf_counter()
                own.append(float(call(*command).split()[-1]))
                whole.append((time.perf_counter() - began) * 1000)
        print(f"\npython start-up, milliseconds, median of {self.options.rounds}; the first round, which fills caches, is left out")
        for label, values in (("plain, to the first step", plain), ("recorded, to the first step", recorded),
                              ("plain, whole command", whole_plain), ("recorded, whole command", whole_recorded)):
            print(f"  {label:<28} {quartiles(values[1:])}")

    def milliseconds(self, *command):
        began = time.perf_counter()
        call(*command)
        return (time.perf_counter() - began) * 1000


def printed_times(text):
    return [float(line.split()[1]) for line in text.splitlines() if line.startswith("ms ")]


def step_times(file):
    text = file.read_text()
    return (printed_times(text) if text.startswith("ms ") else [float(line) for line in text.split()])[WARM_UP:]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=lambda text: pathlib.Path(text).resolve(), default=pathlib.Path(sys.executable).parent)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("what", nargs="*", default=["tokens-768", "tokens-16384", "replay", "start-up"])
    parser.add_argument("--default-malloc", action="store_true")
    options = parser.parse_args()
    if options.default_malloc:
        MALLOC.clear()
    with tempfile.TemporaryDirectory(prefix="samestep-bench-") as folder:
        bench = Bench(options, pathlib.Path(folder))
        for what in options.what:
            if what in SHAPES or what in ("python-768", "python-16384"):
                bench.recording(what)
            elif what.startswith("pins-"):
                bench.pinning(what.removeprefix("pins-"))
            elif what.startswith("forward-"):
                with contextlib.chdir(folder):  # a replay leaves its folder where it runs
                    bench.forward(what.replace("forward", "tokens"))
            else:
                {"replay": bench.replay, "start-up": bench.start_up, "python-start-up": bench.python_start_up}[what]()


if __name__ == "__main__":
    main()
