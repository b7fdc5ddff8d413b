"""The include checker itself: each rule is broken once and must be found."""
import pathlib
import subprocess
import sys
import tempfile

CHECKER = pathlib.Path(__file__).with_name("check_includes.py")
BROKEN = {
    "kernels/a.cpp": ('#include "replay/run/record.h"', "kernels may not include replay/run"),
    "replay/run/a.h": ('#include "replay/compare/verdict.h"', "replay/run may not include replay/compare"),
    "replay/compare/a.cpp": ("#include <torch/torch.h>", "may not include <torch/torch.h>"),
    "replay/capture/a.cpp": ('#include "replay/run/run_reader.h"', "may include only"),
    "cli/a.cpp": ("#include <hdf5.h>", "may not include <hdf5.h>"),
}


def run(files):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = pathlib.Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")
        return subprocess.run([sys.executable, CHECKER, folder], capture_output=True, text=True, check=False)


for name, (line, sentence) in BROKEN.items():
    result = run({name: line})
    assert result.returncode == 1 and sentence in result.stdout, (name, result.stdout, result.stderr)
second = run({"cli/a.h": "", "cli/a.cpp": '#include <string>\n#include "cli/a.h"'})
assert second.returncode == 1 and 'include "cli/a.h" first' in second.stdout, second.stdout
clean = run({"cli/a.cpp": '#include "replay/compare/verdict.h"', "replay/run/b.cpp": "#include <hdf5.h>"})
assert clean.returncode == 0, clean.stdout
print(f"{len(BROKEN) + 1} broken rules found")
