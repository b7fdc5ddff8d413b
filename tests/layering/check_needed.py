"""Fails if the program given, or anything it loads, is a part of LibTorch or CUDA."""
import subprocess
import sys

needed = subprocess.run(["ldd", sys.argv[1]], capture_output=True, text=True, check=True).stdout
bad = [line.split()[0] for line in needed.splitlines() if any(w in line for w in ("torch", "c10", "cuda"))]
assert "libc.so" in needed, needed
assert not bad, f"{sys.argv[1]} loads {bad}"
print(f"{sys.argv[1]} loads {len(needed.splitlines())} libraries, none of LibTorch or CUDA")
