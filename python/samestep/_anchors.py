"""What an anchor takes along, and what a replay that starts from one puts in.

The C++ core cuts and restores weights, buffers and torch's generators. What only Python can reach is handed to it at O,
and taken back where a replay has come to its anchor: by running without computing (restore), or by a jump into a loop
(enter_loop).
"""
import torch

from samestep import _entropy, _kept, _optimizers, _reachable
from samestep._tensors import plain


class Anchors:
    def __init__(self, moments):
        self._moments = moments
        self._too_much_said = False

    # --- what is read at O

    def hand_outcome(self, stepped, state, anchor):
        """`state`, `anchor`: whether this O reads the optimizers' state, and cuts an anchor."""
        moments = self._moments
        if state:
            moments.optimizers.hand_states(moments.native)
            self.hand_kept()
        moments.hand_generators()
        if anchor:
            found = self._reached(stepped)
            moments.native.hand_reached(list(found), [plain(tensor) for tensor in found.values()])

    def hand_kept(self):
        names, values = _kept.handed()
        self._moments.native.hand_kept(names, values)

    def held(self):
        """The tensors that an anchor holds anyway."""
        roots = self._moments.roots.modules()
        tensors = [tensor for module in roots for tensor in (*module.parameters(), *module.buffers())]
        return tensors + self._moments.optimizers.tensors()

    def _reached(self, stepped):
        """What an anchor takes along besides, by name."""
        found = _reachable.tensors(self.held(), self._reaches_too_much)
        return found | self._moments.optimizers.gradients_waiting(stepped)

    def _reaches_too_much(self):
        if not self._too_much_said:
            self._too_much_said = True
            text = (f"The program's variables lead to more than {_reachable.MOST_OBJECTS:,} objects: an anchor takes "
                    "along the tensors among the first of them.")
            self._moments.native.event("fast_forward", text)

    # --- what a replay puts in

    def enter_loop(self):
        """A jump: the anchor's weights and torch's generators are in; the program has not begun its loop."""
        native, optimizers = self._moments.native, self._moments.optimizers
        optimizers.restore_states(native)
        for number, optimizer in optimizers.told():
            _optimizers.set_options(optimizer, *native.restored_options(number))
        with torch.random.fork_rng():  # what a value is restored by may draw
            _kept.restore(*native.restored_kept(), jumped=True)
        self._moments.yielded.clear()
        self.put_generators()

    def put_generators(self):
        """Python's and NumPy's, where a replay has put torch's."""
        for name, state in zip(*self._moments.native.restored_generators()):
            _entropy.set_generator(name, bytes(state.tolist()))

    def restore(self, stepped):
        """The program has come to the anchor without computing: its weights and generators are in; what only Python can
        reach follows."""
        native, optimizers = self._moments.native, self._moments.optimizers
        optimizers.restore_states(native)
        for number, _ in optimizers.told():
            native.restored_options(number)  # the program's schedules have set them
        native.restored_generators()  # and it has drawn
        _kept.restore(*native.restored_kept(), jumped=False)
        names, tensors = native.restored_reached()
        _reachable.restore(self._reached(stepped), dict(zip(names, tensors)))
        self._name_the_lost(names)

    def _name_the_lost(self, restored):
        """What the program still holds that was answered and never computed; what the anchor holds by other names was
        put in."""
        native, held = self._moments.native, _reachable.memory_of(self.held())
        others = [
            (name, tensor)
            for name, tensor in _reachable.all_tensors().items()
            if name not in restored and tensor.data_ptr() not in held
        ]
        flags = native.unwritten([plain(tensor) for _, tensor in others])
        lost = [name for (name, _), unwritten in zip(others, flags) if unwritten]
        if lost:
            native.event("fast_forward", "not restored, because no anchor holds them: " + ", ".join(lost[:8]))
