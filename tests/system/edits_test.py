"""One edit of a trainer per lane, at a step and of a tensor drawn from a seed, 20 seeds a lane: `diff` and `replay` name
exactly that step, lane and tensor.

The plain trainer is recorded once. For each edit the edited trainer is recorded and compared with it by `diff`; and the
plain recording is replayed with the edited trainer in its place, from the nearest anchor. So each of the 160 edits
starts three processes that load LibTorch: the recording, the replay, and the replay that confirms it.
"""
import unittest

from harness import *

STEPS = 100
ANCHOR_EVERY = 16
SEEDS = 20

CLASSES = {"weights_in": "state_edited", "rng": "rng", "batch": "batch", "hyper": "hyper", "loss": "forward",
           "gradients": "backward", "optimizer": "update", "weights_out": "update"}


class OneEditALane(SystemTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plain = recorded(cls.root / "plain", EDITED, STEPS, options=["--anchor-every", ANCHOR_EVERY])
        weights = [tensor["name"] for tensor in cls.plain.inspect("--tensors")["tensors"]]
        parameters = [name for name in weights if "running" not in name and "tracked" not in name]
        cls.tensors = {
            "weights_in": weights, "weights_out": weights, "gradients": parameters, "rng": ["cpu"],
            "batch": ["#0", "#1"], "loss": ["#0", "#1"],
            "hyper": [f"0.group{group}.{option}" for group in (0, 1) for option in ("lr", "weight_decay")],
            "optimizer": [f"0/{name}/momentum_buffer" for name in parameters],
        }

    def draw(self, lane, seed):
        """Step and tensor. The optimizer's state is read every 16th step: an edit of it on another step would show in
        the weights of the next."""
        choose = drawn(lane, seed)
        step = choose.randrange(16, STEPS, 16) if lane == "optimizer" else choose.randrange(1, STEPS)
        return step, choose.choice(self.tensors[lane])

    def check(self, lane, seed):
        step, tensor = self.draw(lane, seed)
        command = [EDITED, STEPS, lane, step, tensor]
        edited = recorded(self.root / f"{lane}-{seed}", *command)
        answers = {"diff": diff(self.plain, edited),
                   "replay": replay(self.plain, "--from", max(0, step - 3), command=command)}
        return step, tensor, edited, answers

    def check_lane(self, lane):
        for seed, (step, tensor, edited, answers) in enumerate(
                side_by_side(lambda seed: self.check(lane, seed), range(SEEDS))):
            for verb, got in answers.items():
                with self.subTest(verb=verb, seed=seed, step=step, tensor=tensor):
                    self.assertVerdict(got, DIVERGED, "diverged")
                    self.assertEqual(got.place(), (step, lane, tensor), got.verdict)
                    self.assertEqual(got.verdict["class"], CLASSES[lane])
                    self.assertEqual(got.verdict["last_same_step"], step - 1)
            with self.subTest(seed=seed, step=step, tensor=tensor):
                self.check_events(lane, step, tensor, edited.inspect()["events"])

    def check_events(self, lane, step, tensor, events):
        """An edit between two steps shows in the single run; the others are the trainer's own business."""
        edits = [(event["step"], event["tensor"]) for event in events if event["kind"] == "state_edited"]
        self.assertEqual(edits, [(step, tensor)] if lane == "weights_in" else [])

    def test_the_plain_trainer_replays_identically(self):
        got = replay(self.plain, "--from", 40)
        self.assertVerdict(got, SAME, "same")
        self.assertEqual(got.verdict["steps_compared"], STEPS - 40)

    def test_weights_in(self):
        self.check_lane("weights_in")

    def test_rng(self):
        self.check_lane("rng")

    def test_batch(self):
        self.check_lane("batch")

    def test_hyper(self):
        self.check_lane("hyper")

    def test_loss(self):
        self.check_lane("loss")

    def test_gradients(self):
        self.check_lane("gradients")

    def test_optimizer(self):
        self.check_lane("optimizer")

    def test_weights_out(self):
        self.check_lane("weights_out")

    def test_a_kept_value_shows_at_the_next_anchor(self):
        """Named state stands outside the roots; it is read at anchors and at the end."""
        edited = recorded(self.root / "kept", EDITED, STEPS, "state", 20, "note", options=["--anchor-every", ANCHOR_EVERY])
        got = diff(self.plain, edited)
        self.assertVerdict(got, DIVERGED, "diverged")
        self.assertEqual(got.place(), (2 * ANCHOR_EVERY - 1, "state", "note"), got.verdict)


if __name__ == "__main__":
    unittest.main()
