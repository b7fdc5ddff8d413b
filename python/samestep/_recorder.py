"""A recorder for a program that nobody launched: a notebook, an interactive session."""
import atexit
import json
import os
import shutil
import subprocess
import sys

from samestep import _entropy

_recording = None  # the one that runs
_begun = 0  # how many this process has begun: a replay begins where the one that it repeats did


class Recording:
    """A recorder, started as a child of this process, or the one that launched it. `run`: its folder, where that was
    given. Ends by stop(), as a context, or with the process."""

    def __init__(self, process, run):
        self.run, self._process = run, process  # None: of whoever launched this program

    def stop(self):
        """Waits until everything is on disk. The training goes on unrecorded."""
        self._end(by_exception=False)

    def _end(self, by_exception):
        global _recording
        if _recording is not self:
            return
        _recording = None
        moments = sys.modules["samestep._hooks"].moments
        if not moments.waits:  # else a replay of a later one: nothing has begun yet
            moments.bye(by_exception)
        if self._process is not None:
            try:
                self._process.stdin.write("end\n")  # children of this process may hold the pipe open
                self._process.stdin.close()
            except OSError:
                pass  # it has ended already
            self._process.wait()

    def forked(self):
        """In a child: the recorder is the parent's, and ends with that."""
        global _recording
        _recording = None
        if self._process is not None:
            self._process.stdin.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        left_well = kind is None or (issubclass(kind, SystemExit) and error.code in (None, 0))
        self._end(by_exception=not left_well)

    def end_with_the_process(self):
        self._end(by_exception=sys.modules["samestep._hooks"].program_raised())


def record(run=None, *options):
    """Starts recording what this process trains from here on, as `samestep record` would have from the start.

    run: the run directory (default: as for `samestep record`). options: of `samestep record`, as words. Call it after
    torch was imported, between steps. What must be settled before a program starts (thread counts, hash
    seeds) stays as it is; the manifest says how it is. Under `samestep record` or `samestep replay` that one records.
    Returns the recording, whose stop() ends it; so does the end of a `with`, or of the process.
    Raises RuntimeError where a recording of this process goes on already, or none can start.
    """
    global _recording, _begun
    if _recording is not None:
        raise RuntimeError("samestep.record: this process is recorded already; stop() that first")
    if "torch" not in sys.modules:
        raise RuntimeError("samestep.record: import torch first")
    # What nobody has seeded or drawn from after this is no part of the run, in its replays neither.
    _entropy.given_states.update(
        (name, read()) for name, module, read in _entropy.SHARED_GENERATORS if module in sys.modules
    )
    launched = sys.modules.get("samestep._hooks")
    if launched is not None and launched.moments.launched:
        if launched.moments.waits:
            launched.moments.waits -= 1
            if not launched.moments.waits:
                launched.take_up_made(launched.moments)
        _recording = Recording(None, None)
        return _recording
    ordinal = f"={_begun + 1}" if _begun else ""
    words = [_program(), "record", f"--attached{ordinal}", *(["--run", os.fspath(run)] if run is not None else [])]
    words += map(str, options)
    process = subprocess.Popen([*words, "--", *sys.orig_argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               text=True, start_new_session=True)  # Ctrl-C is for the program
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"samestep.record: the recorder did not start (exit code {process.wait()}); it said why above")
    process.stdout.close()
    _take_up(json.loads(line)["environment"])
    _recording = Recording(process, None if run is None else os.path.abspath(run))
    _begun += 1
    atexit.register(_recording.end_with_the_process)
    os.register_at_fork(after_in_child=_forked)
    return _recording


def _forked():
    if _recording is not None:
        _recording.forked()


def _program():
    if os.environ.get("SAMESTEP_PROGRAM"):
        return os.environ["SAMESTEP_PROGRAM"]
    beside = os.path.join(os.path.dirname(sys.executable), "samestep")
    program = beside if os.access(beside, os.X_OK) else shutil.which("samestep")
    if program is None:
        raise RuntimeError("samestep.record: there is no program samestep beside this Python or on PATH")
    return program


def _take_up(environment):
    """The hooks find the recorder; processes started later are none of its sessions."""
    from samestep import _hooks

    if _hooks.moments is None:
        _hooks.install(lambda name, then: then() if name in sys.modules else None)
        _hooks.wrap_own_steps(_hooks.moments)
    else:
        _hooks.moments.begin_again()
    _hooks.take_up_made(_hooks.moments)
    _entropy.SOCKET = environment["SAMESTEP_SOCKET"]
