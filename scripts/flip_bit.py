"""Flips one bit of one weight in a safetensors file, in place: what a hand edit or a bad disk does to a checkpoint.

Usage: flip_bit.py FILE TENSOR ELEMENT BIT   (TENSOR may be the end of a name; BIT 0 is the lowest)
"""
import json
import struct
import sys

BYTES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "U8": 1, "BOOL": 1}


def locate(file, tensor):
    """(offset of the tensor's first byte, bytes of one element, full name)."""
    (length,) = struct.unpack("<Q", file.read(8))
    header = json.loads(file.read(length))
    names = [name for name in header if name.endswith(tensor) and name != "__metadata__"]
    if not names:
        sys.exit(f"flip_bit: no tensor named {tensor}; there are {', '.join(sorted(header)[:20])}")
    entry = header[names[0]]
    return 8 + length + entry["data_offsets"][0], BYTES[entry["dtype"]], names[0]


def main():
    path, tensor, element, bit = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    with open(path, "r+b") as file:
        start, size, name = locate(file, tensor)
        position = start + element * size + bit // 8
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ (1 << (bit % 8))]))
    print(f"flipped bit {bit} of element {element} of {name}")


if __name__ == "__main__":
    main()
