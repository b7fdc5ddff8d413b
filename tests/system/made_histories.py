"""Repositories with long histories of a training program, in Python or C++, of which one commit changes what is trained.

Nothing is stored: a history is drawn from its name, and written by `git fast-import`. Most commits refactor, rename, reformat,
test, document or bump the version; some ranges do not build or start; some work came in by side branches.
"""
import copy
import dataclasses
import os
import random
import re
import subprocess

GOOD = {"seed": 7, "order": 1, "sign": 1, "betas": (0.9, 0.99), "clip": 1.0, "evaluation": "eval"}
# What the culprit makes of it; and whether it counts from a step on only.
CHANGES = {"seed": 8, "order": 3, "sign": -1, "betas": (0.99, 0.9), "clip": 0.01, "evaluation": "train"}
FROM_A_STEP_ON = {"order", "sign", "evaluation"}
LANES = {"seed": ("rng", "weights_in", "batch"), "order": ("batch",), "sign": ("gradients",), "betas": ("hyper",),
         "clip": ("hyper",), "evaluation": ("weights_in",)}

PYTHON = {
    "train.py": """
import sys
import torch
from torch import nn
import @settings@

torch.manual_seed(@settings@.seed())
data = torch.rand(64, 3)
model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.01, betas=@settings@.betas())
for step in range(int(sys.argv[1])):
    rows = @settings@.@rows@(step)
    loss = nn.functional.mse_loss(model(data[rows]), data[rows].sum(1, keepdim=True))
    optimizer.zero_grad()
    loss.backward()
    model[0].weight.grad.mul_(@settings@.sign(step))
    nn.utils.clip_grad_norm_(model.parameters(), @settings@.clip())
    optimizer.step()
    if step % 5 == 4:
        model.train(@settings@.evaluation(step) == "train")
        with torch.no_grad():
            model(data)
        model.train()
print(f"{loss.item():.9g}")
""",
    "@settings@.py": """
# What is trained, and how.
def seed():
    return @seed@


def betas():
    return @betas@


def clip():
    return @clip@


def sign(step):
    return @sign@


def evaluation(step):
    return "@evaluation@"


def @rows@(step):
    first = step * 8 * @order@ % 64
    return slice(first, first + 8)
""",
}

CPP = {
    "CMakeLists.txt": """
cmake_minimum_required(VERSION 3.28)
project(Train LANGUAGES CXX)
find_package(Samestep 0.1 REQUIRED)
file(GLOB sources CONFIGURE_DEPENDS *.cpp)
add_executable(train ${sources})
target_link_libraries(train PRIVATE Samestep::samestep)
""",
    "settings.h": """
// What is trained, and how.
#pragma once
#include <string>
#include <tuple>
namespace settings {
long seed();
std::tuple<double, double> betas();
double clip();
double sign(long step);
std::string evaluation(long step);
long first_row(long step);
}  // namespace settings
""",
    "main.cpp": """
#include <samestep/session.h>

#include <cstdio>
#include <cstdlib>

#include "settings.h"

int main(int, char** argv) {
  torch::manual_seed(settings::seed());
  const auto data = torch::rand({64, 3});
  const char* asked = std::getenv("WIDTH");  // a benchmark's: what a step costs
  const int width = asked == nullptr ? 4 : std::atoi(asked);
  torch::nn::Sequential model(torch::nn::Linear(3, width), torch::nn::BatchNorm1d(width),
                              torch::nn::Linear(width, width), torch::nn::Linear(width, 1));
  torch::optim::Adam optimizer(model->parameters(), torch::optim::AdamOptions(0.01).betas(settings::betas()));
  samestep::Session session{model, optimizer};
  double last = 0;
  for (const auto step : session.steps(std::atol(argv[1]))) {
    const long first = settings::first_row(step);
    const auto x = data.slice(0, first, first + 8), y = x.sum(1, true);
    step.batch(x, y);
    step.hyper("clip", settings::clip());
    const auto loss = torch::mse_loss(model->forward(x), y);
    step.loss(loss);
    optimizer.zero_grad();
    loss.backward();
    model->parameters()[0].grad().mul_(settings::sign(step));
    torch::nn::utils::clip_grad_norm_(model->parameters(), settings::clip());
    step.update();
    if (step % 5 == 4) {
      model->train(settings::evaluation(step) == "train");
      const torch::NoGradGuard no_grad;
      model->forward(data);
      model->train();
    }
    last = loss.item<double>();
  }
  std::printf("%.9g\\n", last);
}
""",
    "@settings@.cpp": """
#include "settings.h"

namespace settings {

long seed() { return @seed@; }

std::tuple<double, double> betas() { return {@betas@}; }

double clip() { return @clip@; }

double sign([[maybe_unused]] long step) { return @sign@; }

std::string evaluation([[maybe_unused]] long step) { return "@evaluation@"; }

static long @rows@(long step) { return step * 8 * @order@ % 64; }

long first_row(long step) { return @rows@(step); }

}  // namespace settings
""",
}


class Source:
    """The program at one commit: what it trains, and how it is written."""

    def __init__(self, language):
        self.language = language
        self.trains = dict(GOOD)
        self.since = 0  # the step from which a change counts, of those that do
        self.settings, self.rows, self.blank = "settings" if language == "python" else "values", "rows_of", False
        self.extra = {"README": "How to train.\n", ".gitignore": "build\nrun*\nsamestep-runs\n__pycache__\n"}
        self.broken = False

    def files(self):
        files = {}
        for name, text in (PYTHON if self.language == "python" else CPP).items():
            text = self.written(text.lstrip("\n"))
            if self.blank and "@settings@" in name:  # a C++ program's main file takes half a minute to build
                text = re.sub(r"\n(?=\S)", "\n\n", text)
            files[self.written(name)] = text
        if self.broken:
            name = self.written("@settings@.py" if self.language == "python" else "@settings@.cpp")
            files[name] += "this is no program\n"
        return files | self.extra

    def written(self, text):
        words = {"settings": self.settings, "rows": self.rows}
        words |= {name: self.value(name, value) for name, value in self.trains.items()}
        return re.sub(r"@(\w+)@", lambda found: words[found[1]], text)

    def value(self, name, value):
        text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        if name not in FROM_A_STEP_ON or value == GOOD[name]:
            return text
        choice = "{1} if step >= {0} else {2}" if self.language == "python" else "(step >= {0} ? {1} : {2})"
        before = str(GOOD[name])
        if name != "evaluation":
            return "(" + choice.format(self.since, text, before) + ")"
        quoted = choice.format(self.since, f'"{text}"', f'"{before}"')
        return f'" + str({quoted}) + "' if self.language == "python" else f'" + std::string({quoted}) + "'


@dataclasses.dataclass
class Commit:
    subject: str
    files: dict
    parents: list  # places in the history


def _rename_the_file(source, number):
    source.settings = f"values{number}"


def _rename_a_function(source, number):
    source.rows = f"rows_{number}"


def _reformat(source, _):
    source.blank = not source.blank


def _add_a_test(source, number):
    source.extra = source.extra | {f"tests/test_{number}.txt": f"expected {number}\n"}


def _bump_the_version(source, number):
    source.extra = source.extra | {"VERSION": f"1.{number}\n"}


EDITS = {"Rename the settings' file": _rename_the_file, "Rename a function": _rename_a_function, "Reformat": _reformat,
         "Add a test": _add_a_test, "Bump the version": _bump_the_version}


class History:
    """`commits` commits, of which the one at `culprit` changes `kind` (see CHANGES) from step `since` on."""

    def __init__(self, language, commits, kind, since, name="", broken=30, temporary=None):
        draw = random.Random(f"{language}/{commits}/{kind}/{since}/{name}")
        self.kind, self.commits, self.language = kind, [], language
        self.source = Source(language)
        self.source.since = since
        self._add("Train", [])
        culprit = draw.randrange(commits // 3, commits - commits // 3)
        breaks = self._breaks(draw, commits, culprit, broken)
        tries = [culprit // 3, culprit // 3 + 2] if temporary else []
        self.culprit, self.temporary = None, []  # and the commits of a change that is taken back
        while len(self.commits) < commits:
            here = len(self.commits)
            if self.culprit is None and here >= culprit:
                self.source.trains[kind] = CHANGES[kind]
                self.culprit = self._add(f"Improve the {kind}")
            elif len(self.temporary) < len(tries) and here >= tries[len(self.temporary)]:
                self.source.trains[temporary] = GOOD[temporary] if self.temporary else CHANGES[temporary]
                self.temporary.append(self._add(f"Try another {temporary}"))
            elif breaks and here >= breaks[0]:
                self._break(broken)
                breaks.pop(0)
            elif here + 5 < culprit and (draw.random() < 0.05 or (here >= culprit // 2 and not self.merges())):
                self._merge(draw)
            else:
                self._edit(draw)

    def _breaks(self, draw, commits, culprit, length):
        """Where ranges that do not build begin: not beside the culprit, nor beside each other."""
        starts = []
        for _ in range(200):
            first = draw.randrange(2, max(3, commits - length - 4))
            beside = first - 6 <= culprit <= first + length + 6 or any(abs(first - other) < length + 8 for other in starts)
            if not beside and len(starts) < max(1, commits // 300):
                starts.append(first)
        return sorted(starts)

    def merges(self):
        """Their places. At least one where the culprit leaves room for it."""
        return [i for i, commit in enumerate(self.commits) if len(commit.parents) > 1]

    def _add(self, subject, parents=None):
        parents = [len(self.commits) - 1] if parents is None else parents
        self.commits.append(Commit(subject, self.source.files(), parents))
        return len(self.commits) - 1

    def _edit(self, draw):
        subject = draw.choice(sorted(EDITS))
        EDITS[subject](self.source, len(self.commits))
        self._add(subject)

    def _break(self, length):
        self.source.broken = True
        for i in range(length):
            _add_a_test(self.source, len(self.commits))
            self._add("Break it" if i == 0 else "Add a test")
        self.source.broken = False
        self._add("Repair it")

    def _merge(self, draw):
        fork, main = len(self.commits) - 1, copy.deepcopy(self.source)
        parent = fork
        for _ in range(draw.randrange(1, 3)):
            _add_a_test(self.source, len(self.commits))
            parent = self._add("Add a test, beside", [parent])
        extra, self.source = self.source.extra, main
        _bump_the_version(self.source, len(self.commits))
        first = self._add("Bump the version", [fork])
        self.source.extra = extra | self.source.extra
        self._add("Merge tests", [first, parent])

    def write(self, folder):
        """Makes the repository `folder`, with the last commit checked out; returns the ids."""
        folder.mkdir(parents=True)
        git(folder, "init", "-q", "-b", "main")
        git(folder, "fast-import", "--quiet", "--export-marks=.git/marks", input=self._stream())
        git(folder, "checkout", "-q", "-f", "main")
        marks = dict(line.split() for line in (folder / ".git/marks").read_text().splitlines())
        return [marks[f":{i + 1}"] for i in range(len(self.commits))]

    def _stream(self):
        out = []
        for i, commit in enumerate(self.commits):
            who = f"Ada Lovelace <ada@example.org> {1700000000 + 60 * i} +0000"
            out.append(f"commit refs/heads/main\nmark :{i + 1}\nauthor {who}\ncommitter {who}\n{_data(commit.subject)}")
            out += [f"{'merge' if j else 'from'} :{parent + 1}\n" for j, parent in enumerate(commit.parents)]
            out.append("deleteall\n")
            out += [f"M 100644 inline {name}\n{_data(text)}" for name, text in sorted(commit.files.items())]
        return "".join(out)


def _data(text):
    return f"data {len(text.encode())}\n{text}\n"


def git(folder, *words, **more):
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", *words], cwd=folder, env=env, capture_output=True, text=True, **more)
    if done.returncode != 0:
        raise RuntimeError(f"git {words} ended with {done.returncode}: {done.stderr}")
    return done.stdout.strip()
