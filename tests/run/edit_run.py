"""Edits a recorded run the way somebody with h5py would, and renews the digests in its manifest, so that only the
contents can give it away.

    python edit_run.py RUN EDIT          edits segment 0; `python edit_run.py --list` names the edits
"""

import json
import sys
from pathlib import Path

import h5py
import numpy as np
from blake3 import blake3

EDITS = {}


def edit(function):
    EDITS[function.__name__] = function
    return function


def rows(log):
    found = []
    log.visititems(lambda name, item: found.append(item) if isinstance(item, h5py.Dataset) and name != "layout" else None)
    return found


def swap(dataset, a, b):
    if dataset.shape[0] > max(a, b):
        dataset[a], dataset[b] = dataset[b], dataset[a]


def replace(log, name, data, **options):
    attributes = dict(dtype=data.dtype, chunks=(1,) + data.shape[1:], maxshape=(None,) + data.shape[1:], fletcher32=True)
    del log[name]
    log.create_dataset(name, data=data, **{**attributes, **options})


@edit
def swap_all_rows(log):
    for dataset in rows(log):
        swap(dataset, 4, 6)


@edit
def swap_rows_but_chains(log):
    for dataset in rows(log):
        if "chain" not in dataset.name:
            swap(dataset, 4, 6)


@edit
def swap_step_rows(log):
    swap(log["steps"], 4, 6)


@edit
def swap_tensor_digests(log):
    row = log["gradients/digest"][4]
    row[[0, 1]] = row[[1, 0]]
    log["gradients/digest"][4] = row


@edit
def other_loss(log):
    log["loss/value"][5, 0] += 1


@edit
def other_summary(log):
    row = log["weights_out/summary"][4]
    row["norm"][0] *= 2
    log["weights_out/summary"][4] = row


@edit
def other_time(log):
    row = log["steps"][7]
    row["duration_ns"] += 1
    log["steps"][7] = row


@edit
def other_lane_digest(log):
    row = log["steps"][7]
    row["lanes"]["digest"][3][0] ^= 1
    log["steps"][7] = row


@edit
def other_presence(log):
    log["weights_out/presence"][4, 0] = 2


@edit
def other_chain(log):
    log["chain"][9, 0] ^= 1


@edit
def other_root(log):
    log["root"][9, 0] ^= 1


@edit
def other_log_chain(log):
    log["log_chain"][9, 0] ^= 1


@edit
def cut_chain(log):
    log["log_chain"].resize(20, axis=0)


@edit
def longer_chain(log):
    log["log_chain"].resize(log["log_chain"].shape[0] + 1, axis=0)


@edit
def endless_chain(log):
    log["log_chain"].resize(2**62, axis=0)


@edit
def renamed_tensor(log):
    text = log["layout"][()].tobytes().replace(b"layer.weight", b"layer.height")
    log["layout"][()] = np.frombuffer(text, dtype="u1")


@edit
def other_run(log):
    log.attrs.modify("run_id", np.bytes_(b"1" * 32))


@edit
def other_first_step(log):
    log.attrs.modify("first_step", np.uint64(1))


@edit
def other_version(log):
    log.attrs.modify("format_version", np.uint32(2))


@edit
def other_chain_before(log):
    log.attrs.modify("chain_before", np.full(32, 7, dtype="u1"))


@edit
def text_attribute(log):
    log.attrs["run_id"] = "0" * 31 + "7"  # variable length


@edit
def compressed(log):
    replace(log, "chain", log["chain"][()], compression="gzip")


@edit
def unchecked(log):
    replace(log, "chain", log["chain"][()], fletcher32=False)


@edit
def other_type(log):
    replace(log, "loss/value", log["loss/value"][()].astype(">f8"))


@edit
def more_columns(log):
    replace(log, "gradients/digest", np.concatenate([log["gradients/digest"][()]] * 2, axis=1))


@edit
def larger_chunks(log):
    replace(log, "chain", log["chain"][()], chunks=(8, 32))


@edit
def soft_link(log):
    log.move("chain", "elsewhere")
    log["chain"] = h5py.SoftLink("/elsewhere")


@edit
def external_link(log):
    del log["chain"]
    log["chain"] = h5py.ExternalLink("log-r0000-s0001.h5", "/chain")


@edit
def missing_dataset(log):
    del log["rng/digest"]


@edit
def group_for_dataset(log):
    del log["root"]
    log.create_group("root")


def renew_manifest(run):
    manifest = json.loads((run / "manifest.json").read_text())
    for segment in manifest["segments"]:
        segment["digest"] = blake3((run / segment["file"]).read_bytes()).hexdigest()
    del manifest["digest"]
    text = '{\n  "digest": "' + "0" * 64 + '",' + json.dumps(manifest, indent=2)[1:] + "\n"
    (run / "manifest.json").write_text(text.replace("0" * 64, blake3(text.encode()).hexdigest(), 1))


def main():
    if sys.argv[1] == "--list":
        print("\n".join(EDITS))
        return
    run = Path(sys.argv[1])
    with h5py.File(run / "log-r0000-s0000.h5", "r+", libver=("v110", "v110")) as log:
        EDITS[sys.argv[2]](log)
    renew_manifest(run)


if __name__ == "__main__":
    main()
