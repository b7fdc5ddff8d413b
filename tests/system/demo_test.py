"""The demonstration: a GPT of 0.8 million parameters, 200 steps on a real text, anchors every 50; the replay of steps
120 to 199 from the anchor at 100 is identical; with one bit of one weight changed in that anchor it is refused, and
tensor, element, old and new value are named."""
import shutil
import struct
import sys
import unittest

from harness import *

TENSOR, ELEMENT, BIT = "blocks.0.attention.qkv.weight", 1234, 21
INDEX = "[9, 82]"  # of that element: a row has 128
LANES = ["weights_in", "rng", "batch", "hyper", "loss", "gradients", "optimizer", "weights_out"]


def element_of(file, tensor, element):
    """A float of a safetensors file."""
    content = file.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8:8 + length])
    name = next(name for name in header if name.endswith("/" + tensor) and not name.startswith("optimizer"))
    (value,) = struct.unpack_from("<f", content, 8 + length + header[name]["data_offsets"][0] + 4 * element)
    return name, value


class Demo(SystemTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env = surroundings(threads=2)
        cls.gpt = recorded(cls.root / "gpt", TRAIN, "--config", SOURCE / "configs" / "gpt.toml", "--steps", 200, "--seed", 7,
                           options=["--anchor-every", 50], env=cls.env)

    def test_the_model_is_large_enough_and_learns(self):
        self.assertGreaterEqual(int(self.gpt.stdout.split()[1]), 800_000)
        losses = [point["loss"] for point in self.gpt.inspect()["loss"]]
        self.assertEqual(len(losses), 200)
        self.assertLess(losses[-1], losses[0] - 1.5)

    def test_the_middle_replays_identically(self):
        got = replay(self.gpt, "--from", 120, "--to", 200, env=self.env)
        self.assertVerdict(got, SAME, "same")
        self.assertEqual(got.verdict["steps_compared"], 80)
        self.assertTrue(got.says("anchor at step 100"), got.verdict)
        for lane in LANES:
            self.assertEqual(got.verdict["lanes"][lane], "equal", lane)

    def test_one_changed_bit_of_the_anchor_is_refused_and_named(self):
        edited = Recording(self.root / "edited", 0, "", "")
        shutil.copytree(self.gpt.path, edited.path)
        anchor = edited.path / "anchors" / "000000100-r0000.safetensors"
        name, old = element_of(anchor, TENSOR, ELEMENT)
        flipped = run(sys.executable, SOURCE / "scripts" / "flip_bit.py", anchor, name, ELEMENT, BIT)
        self.assertEqual(flipped.returncode, 0, flipped.stderr)
        _, new = element_of(anchor, TENSOR, ELEMENT)
        got = replay(edited, "--from", 120, "--to", 200, env=self.env)
        self.assertVerdict(got, TAMPERED, "tampered")
        said = " ".join(got.verdict["evidence"])
        for part in (TENSOR, INDEX, f"is {new:.5g}"[:9], f"was {old:.5g}"[:9]):
            self.assertIn(part, said)


if __name__ == "__main__":
    unittest.main()
