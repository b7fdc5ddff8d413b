"""stable-baselines3: A2C on a made-up environment, with an RMSprop of the library's own."""
import gymnasium
import numpy as np
import torch
from stable_baselines3 import A2C
from stable_baselines3.common.callbacks import BaseCallback


class Walk(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-10, 10, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.time = self.np_random.normal(size=2).astype(np.float32), 0
        return self.place, {}

    def step(self, action):
        self.place = np.clip(self.place + (0.1 if action else -0.1), -10, 10).astype(np.float32)
        self.time += 1
        return self.place, float(-abs(self.place).sum()), False, self.time >= 20, {}


torch.set_num_threads(1)
model = A2C("MlpPolicy", Walk(), n_steps=8, seed=27, policy_kwargs={"net_arch": [16]}, device="cpu")
model.learn(96)
print(f"{sum(p.sum().item() for p in model.policy.parameters()):.6f}")
print("steps", model._n_updates)
