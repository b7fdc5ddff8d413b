"""A user's own sitecustomize, which the recorder must leave working: at exit it writes a digest of every parameter that the
program registered to the file that the variable LEAVE_WEIGHTS names. Nothing where it is unset.
"""
import atexit, builtins, hashlib, os, sys

kept, plain_import, main = [], builtins.__import__, os.getpid()

def keeping_import(*args, **kwargs):
    module = plain_import(*args, **kwargs)
    torch = sys.modules.get("torch")
    if hasattr(torch, "compile"):
        builtins.__import__ = plain_import
        hook = torch.nn.modules.module.register_module_parameter_registration_hook
        hook(lambda module, name, parameter: kept.append(parameter))
    return module

def leave():
    import torch
    distinct = {id(p): p.detach().contiguous().reshape(-1).view(torch.uint8) for p in kept if p is not None}
    with open(os.environ["LEAVE_WEIGHTS"], "w") as file:
        for tensor in distinct.values():
            file.write(hashlib.sha256(tensor.numpy().tobytes()).hexdigest() + chr(10))

if os.environ.get("LEAVE_WEIGHTS"):
    builtins.__import__ = keeping_import
    atexit.register(lambda: os.getpid() == main and leave())
