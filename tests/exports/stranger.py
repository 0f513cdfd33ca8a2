"""Run exported files where this kit does not exist.

    python -I -S stranger.py SITE QUESTION.json

SITE is the folder of torch's own packages and all that is importable beside the standard library:
no script's folder, no PYTHONPATH, no .pth file. The question names the files, the columns (.npz)
that each takes, and where the answers go (.npz): `<file>|<form>` -> (B, 368) float32.
"""

import importlib.util
import json
import sys
import warnings

KIT = ("leapkit", "members", "blend", "launch", "tests")
FORMS = ("1", "16", "61", "strided", "padded", "zeros", "denormal", "one NaN", "again")


def rows_of(form, x):
    """Return the columns of a form: (B, length) float32; `strided` is Fortran's (pcols, length)."""
    import numpy as np

    few = x[:16].copy()
    if form == "padded":
        few[10:] = 0.0
    elif form == "zeros":
        few[:] = 0.0
    elif form == "denormal":
        few[:] = 1e-40
    elif form == "one NaN":
        few[3] = np.nan
    elif form == "strided":
        return np.asfortranarray(x)
    elif form.isdigit():
        return x[: int(form)]
    return x if form == "again" else few


def torchscript(path):
    import torch

    # LibTorch 1.12 compiles kernels for every new batch size, which takes a minute of these forms.
    torch._C._jit_override_can_fuse_on_cpu(False)
    return of_tensors(torch.jit.load(path, map_location="cpu"))


def exported_program(path):
    import torch

    return of_tensors(torch.export.load(path).module())


def of_tensors(module):
    import torch

    def predict(x):
        x = torch.from_numpy(x)  # of Fortran's order strides (1, pcols), as FTorch passes them
        assert x.stride() in ((x.shape[1], 1), (1, x.shape[0])), x.stride()
        with torch.no_grad():
            return module(x).numpy()

    return predict


def onnx(path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (x,) = session.get_inputs()
    return lambda rows: session.run(None, {x.name: rows})[0]


READERS = {".pt": torchscript, ".pt2": exported_program, ".onnx": onnx}


def main():
    sys.path.append(sys.argv[1])
    import numpy as np

    known = [name for name in KIT if importlib.util.find_spec(name)]
    assert not known, f"this process can import {known}"
    with open(sys.argv[2]) as handle:
        question = json.load(handle)
    columns = np.load(question["columns"])
    answers = {}
    for path, kind in question["files"].items():
        predict = READERS[path[path.rindex(".") :]](path)
        for form in FORMS:
            answers[f"{path}|{form}"] = predict(rows_of(form, columns[kind]))
    np.savez(question["answers"], **answers)
    print(json.dumps(sorted(name.split(".")[0] for name in sys.modules)))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
