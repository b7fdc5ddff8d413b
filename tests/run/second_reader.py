"""A second reader of run directories, written from docs/format.md alone: nothing of the C++ code is used.

    python second_reader.py RUN

Recomputes, for every segment: the anchor's tensors -> the log's digests, per-tensor digests -> lanes -> roots -> chain ->
log chain, and the manifest's own digest. Prints the head of the chain and what was checked; exits with 1 and one line at
the first thing that does not fit.
"""

import json
import struct
import sys
from pathlib import Path

import h5py
import numpy as np
from blake3 import blake3
from safetensors.numpy import load_file

LANES = ["weights_in", "rng", "batch", "hyper", "loss", "gradients", "optimizer", "weights_out", "state"]
DTYPES = ["", "BOOL", "U8", "I8", "I16", "U16", "I32", "U32", "I64", "U64", "F16", "BF16", "F32", "F64",
          "F8_E4M3", "F8_E5M2", "C64", "C128"]
PRESENCE, DIGESTS, VALUES, ITEMS, SUMMARIES = 1, 2, 4, 8, 16
ZERO = bytes(32)


def digest(data):
    return blake3(data).digest()


def expect(found, stored, what):
    if found != stored:
        sys.exit(f"{what}: computed {found.hex()}, stored is {bytes(stored).hex()}")


def shape_bytes(shape):
    return bytes([255]) if shape is None else bytes([len(shape)]) + b"".join(struct.pack("<q", n) for n in shape)


def list_preimage(items):
    return struct.pack("<Q", len(items)) + b"".join(bytes([d]) + shape_bytes(s) + x for d, s, x in items)


def list_digest(items):
    return digest(b"samestep list 1\0" + list_preimage(items))


class Log:
    """One segment: its datasets, and what each step stores."""

    def __init__(self, path):
        self.file = h5py.File(path, "r", libver="latest", swmr=True)
        self.name = Path(path).name
        self.attributes = self.file.attrs
        self.text = self.file["layout"][()].tobytes()
        self.columns = json.loads(self.text)["columns"]
        self.first = int(self.attributes["first_step"])
        self.count = self.file["log_chain"].shape[0]

    def lane(self, name, i):
        """The vectors of one lane that row i stores, as numpy arrays (None where not stored)."""
        stored = int(self.file["steps"][i]["lanes"][LANES.index(name)]["stored"])
        read = lambda flag, what: self.file[f"{name}/{what}"][i] if stored & flag else None
        return {"stored": stored, "presence": read(PRESENCE, "presence"), "digest": read(DIGESTS, "digest"),
                "value": read(VALUES, "value"), "items": read(ITEMS, "items"), "summary": read(SUMMARIES, "summary")}

    def items(self, packed, count):
        items, at = [], 0
        data = packed.tobytes()
        for _ in range(count):
            dtype, rank = data[at], data[at + 1]
            shape = struct.unpack_from(f"<{rank}q", data, at + 2)
            end = at + 2 + 8 * rank
            items.append((dtype, shape, data[end:end + 32]))
            at = end + 32
        return items, data[:at]

    def lane_digest(self, name, parts, items):
        out = b"samestep lane 1\0" + bytes([LANES.index(name)])
        if name in ("batch", "loss"):
            return digest(out + list_preimage(items))
        present = [k for k, p in enumerate(parts["presence"]) if p != 0]
        out += struct.pack("<Q", len(present))
        for k in present:
            label, dtype, shape = self.columns[name][k]
            defined = parts["presence"][k] == 1
            out += bytes([parts["presence"][k], DTYPES.index(dtype)])
            if name == "hyper":
                out += struct.pack("<I", len(label.encode())) + label.encode()
                out += struct.pack("<d", parts["value"][k] if defined else 0.0)
            else:
                out += shape_bytes(shape) + (parts["digest"][k].tobytes() if defined else ZERO)
        return digest(out)

    def check(self):
        chain = self.attributes["chain_before"].tobytes()
        log_chain = digest(b"samestep segment 1\0" + struct.pack("<I", self.attributes["format_version"])
                           + self.attributes["run_id"] + struct.pack("<II", self.attributes["rank"], self.attributes["segment"])
                           + struct.pack("<Q", self.first) + chain + self.attributes["log_chain_before"].tobytes()
                           + digest(self.text))
        for i in range(self.count):
            row = self.file["steps"][i]
            where = f"{self.name}, step {self.first + i}"
            root = b"samestep root 1\0" + struct.pack("<QIB", row["step"], row["optimizer"], row["skipped"])
            encoded = row.tobytes()[:69]
            generators = self.file["rng_out/digest"][i].tobytes() if row["rng_out_stored"] else b""
            encoded += struct.pack("<I", len(generators) // 32) + generators
            reads = self.file["host_reads"][i].tobytes()[:8 * row["host_reads"]] if row["host_reads"] else b""
            encoded += struct.pack("<I", row["host_reads"]) + reads
            for number, name in enumerate(LANES):
                head = row["lanes"][number]
                parts = self.lane(name, i)
                count = int(row[f"{name}_items"]) if name in ("batch", "loss") else 0
                items, packed = self.items(parts["items"], count) if parts["stored"] & ITEMS else ([], b"")
                complete = items if name in ("batch", "loss") else (
                    parts["presence"] is not None and (name == "hyper" or parts["digest"] is not None))
                if head["status"] != 0 and complete:
                    expect(self.lane_digest(name, parts, items), head["digest"].tobytes(), f"{where}, lane {name}")
                if name != "state" and (name != "optimizer" or row["step"] % 16 == 0):
                    present = int(head["status"] != 0)
                    root += bytes([number, present]) + (head["digest"].tobytes() if present else ZERO)
                encoded += head.tobytes() + self.encoded_parts(name, parts, row, count, packed)
            expect(digest(root), self.file["root"][i].tobytes(), f"{where}, root")
            chain = digest(chain + digest(root))
            expect(chain, self.file["chain"][i].tobytes(), f"{where}, chain")
            log_chain = digest(log_chain + encoded)
            expect(log_chain, self.file["log_chain"][i].tobytes(), f"{where}, log chain")
        return chain, log_chain

    @staticmethod
    def encoded_parts(name, parts, row, count, packed):
        out = b"".join(parts[k].tobytes() for k in ("presence", "digest") if parts[k] is not None)
        if parts["value"] is not None:
            values = parts["value"] if name == "hyper" else parts["value"][:row["loss_values"]]
            out += (b"" if name == "hyper" else struct.pack("<I", len(values))) + values.tobytes()
        if parts["stored"] & ITEMS:
            out += struct.pack("<I", count) + packed
        return out + (parts["summary"].tobytes() if parts["summary"] is not None else b"")


def check_anchor(run, entry, log):
    expect(digest((run / entry["file"]).read_bytes()), bytes.fromhex(entry["digest"]), entry["file"])
    tensors = load_file(run / entry["file"])
    i, compared = entry["step"] - 1 - log.first, 0
    code = lambda t: DTYPES.index({"bool": "BOOL"}.get(t.dtype.name, t.dtype.name[0].upper() + t.dtype.name.lstrip("floatuin")))
    for name in ("weights_out", "optimizer", "rng", "state"):
        parts = log.lane(name, i)
        recorded = log.file["rng_out/digest"][i] if name == "rng" else parts["digest"]
        for k, (label, _, shape) in enumerate(log.columns[name]):
            if parts["presence"][k] != 1:
                continue
            label = f"{name}/{label}"
            if shape is None:
                found, items = 0, []
                while f"{label}/{found}" in tensors:
                    t = tensors[f"{label}/{found}"]
                    items.append((code(t), t.shape, digest(t.tobytes())))
                    found += 1
                expect(list_digest(items), recorded[k].tobytes(), label)
            else:
                expect(digest(tensors[label].tobytes()), recorded[k].tobytes(), label)
            compared += 1
    return compared


def main():
    run = Path(sys.argv[1])
    text = (run / "manifest.json").read_bytes()
    manifest = json.loads(text)
    at = len(b'{\n  "digest": "')
    expect(digest(text[:at] + b"0" * 64 + text[at + 64:]), bytes.fromhex(manifest["digest"]), "manifest.json")
    logs, head = {}, ZERO
    for entry in manifest["segments"]:
        log = logs[entry["rank"], entry["number"]] = Log(run / entry["file"])
        head, log_chain = log.check()
        if entry["digest"]:
            expect(digest((run / entry["file"]).read_bytes()), bytes.fromhex(entry["digest"]), entry["file"])
            expect(head, bytes.fromhex(entry["chain"]), f"{entry['file']}, last chain")
            expect(log_chain, bytes.fromhex(entry["log_chain"]), f"{entry['file']}, last log chain")
    compared = sum(check_anchor(run, anchor, logs[anchor["rank"], anchor["segment"]]) for anchor in manifest["anchors"])
    print(f"head {head.hex()} steps {sum(log.count for log in logs.values())} anchor tensors {compared}")


if __name__ == "__main__":
    main()
