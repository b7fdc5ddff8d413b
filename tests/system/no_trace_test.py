"""Recording changes nothing: final weights, standard output and exit code of every trainer are the same with and
without `samestep record`, and standard error has nothing but samestep's own lines more."""
import unittest

from harness import *

TRAININGS = {"mlp": ["--batch", 64, "--steps", 120, "--eval-every", 20],
             "convnet": ["--batch", 64, "--width", 16, "--steps", 60, "--eval-every", 20],
             "gpt": ["--steps", 12, "--eval-every", 5],
             "early stop": ["--model", "mlp", "--batch", 64, "--steps", 300, "--eval-every", 5, "--patience", 1,
                            "--learning-rate", 0.5]}


class NoTrace(SystemTest):
    def both(self, name, *arguments, threads=2):
        """A plain and a recorded execution, and the weights each left."""
        env = surroundings(threads=threads)
        results = []
        for way in ("plain", "recorded"):
            weights = self.root / f"{name} {way}.safetensors"
            command = [TRAIN, *arguments, "--full-precision", "--save", weights]
            done = run(*command, env=env) if way == "plain" else record(self.root / f"{name} run", *command, env=env)
            code = done.returncode if way == "plain" else done.code
            results.append((code, done.stdout, weights.read_bytes() if weights.exists() else None, done.stderr))
        return results

    def check(self, name, *arguments, code=0):
        plain, recording = self.both(name, *arguments)
        self.assertEqual(plain[0], code)
        self.assertEqual(plain[:3], recording[:3])
        own = [line for line in recording[3].splitlines() if not line.startswith("samestep: ")]
        self.assertEqual(own, plain[3].splitlines())
        return plain

    def test_every_trainer(self):
        for model in ("mlp", "convnet", "gpt"):
            with self.subTest(model=model):
                _, output, weights, _ = self.check(model, "--model", model, *TRAININGS[model])
                self.assertIsNotNone(weights)
                self.assertIn("step", output)

    def test_a_training_that_stops_early(self):
        _, output, _, _ = self.check("early stop", *TRAININGS["early stop"])
        self.assertIn("stopped early", output)

    def test_a_training_that_fails(self):
        self.check("failing", "--model", "gpt", "--text", "/nonexistent", code=2)


if __name__ == "__main__":
    unittest.main()
