"""Fails if the program given, or anything it loads, is a part of LibTorch or CUDA."""
import subprocess
import sys

needed = subprocess.run(["ldd", sys.argv[1]], capture_output=True, text=True, check=True).stdout
# The names alone: an address may well contain "c10".
names = [line.split()[0].rsplit("/", 1)[-1] for line in needed.splitlines()]
bad = [name for name in names if any(word in name for word in ("torch", "c10", "cuda"))]
assert "libc.so" in needed, needed
assert not bad, f"{sys.argv[1]} loads {bad}"
print(f"{sys.argv[1]} loads {len(needed.splitlines())} libraries, none of LibTorch or CUDA")
