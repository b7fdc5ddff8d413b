"""An endless walk over a loader's epochs that a replay can enter in the middle."""
import sys

from samestep import _entropy, _explicit


class batches:  # noqa: N801 - reads as a function: for batch in samestep.batches(loader)
    """The batches of `loader`, epoch after epoch, without end: `for number, batch in zip(samestep.steps(n), batches)`.

    Kept as the state `name`: where the generators stood when the epoch began, and how many batches of it were consumed. A
    replay that jumps begins that epoch again from those generators and passes over what was consumed: no batch is
    computed with, but the loader loads it.
    """

    def __init__(self, loader, name="batches"):
        self._loader, self._iterator, self._began = loader, None, None
        self.epoch, self.consumed = -1, 0  # of this epoch
        _explicit._keep(name, self._where, self._go_to, only_jumps=True)

    def __iter__(self):
        return self

    def __next__(self):
        if self._iterator is None:
            self._begin_epoch()
        try:
            batch = next(self._iterator)
        except StopIteration:
            if self.consumed == 0:
                raise ValueError("samestep.batches: the loader gave no batch in a whole epoch") from None
            self._begin_epoch()
            return next(self)
        self.consumed += 1
        return batch

    def _begin_epoch(self):
        self._began = states(self._loader)
        self.epoch, self.consumed = self.epoch + 1, 0
        self._iterator = iter(self._loader)

    def _where(self):
        return {"epoch": self.epoch, "consumed": self.consumed, "began": self._began}

    def _go_to(self, where):
        if where["began"] is None:
            return
        put_states(self._loader, where["began"])
        self.epoch = where["epoch"] - 1
        self._begin_epoch()
        for _ in range(where["consumed"]):
            next(self)


def _own_generators(loader):
    """Of the loader and its sampler, each once, in order."""
    found = []
    for part in (loader, getattr(loader, "sampler", None), getattr(loader, "batch_sampler", None)):
        generator = getattr(part, "generator", None)
        if hasattr(generator, "get_state") and all(generator is not known for known in found):
            found.append(generator)
    return found


def states(loader):
    """Of the shared generators on the CPU, and of the loader's own."""
    torch = sys.modules["torch"]
    shared = {name: read() for name, module, read in _entropy.SHARED_GENERATORS if module in sys.modules}
    return {"torch": torch.get_rng_state(), "shared": shared, "own": [g.get_state() for g in _own_generators(loader)]}


def put_states(loader, kept):
    sys.modules["torch"].set_rng_state(kept["torch"])
    for name, state in kept["shared"].items():
        _entropy.set_generator(name, state)
    for generator, state in zip(_own_generators(loader), kept["own"]):
        generator.set_state(state)
