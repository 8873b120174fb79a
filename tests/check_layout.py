"""Holds the tree against its layers: which folder may include which, who may know OpenCL, and who an operation."""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1])
MAY_INCLUDE = {
    "base": set(),
    "ranks": {"base"},
    "device": {"base"},
    "data": {"base"},
    "eval": {"base"},
    "graph": {"base"},
    "op": {"graph", "device", "base"},
    "compile": {"op", "graph", "device", "base"},
    "nn": {"graph", "base"},
    "flow": {"graph", "base"},
    "learn": {"nn", "graph", "device", "ranks", "base"},
    "train": {"base", "ranks", "device", "data", "graph", "nn", "flow", "learn"},
}
# A layer's public headers by their names; a private header stands in the layer's folder.
PUBLIC = {"classify": "train", "options": "base", "text": "base", "normalise": "data", "path": "flow", "velocity": "graph", "layers": "nn", "measure": "device", "tune": "device"} | {layer: layer for layer in MAY_INCLUDE}
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.M)
OPENCL = re.compile(r"\b(cl_[a-z]\w*|cl[A-Z]\w+|CL_[A-Z]\w+)\b")


def layer_of(include):
    """The layer that an include names, None for what is not ours."""
    folder, _, name = include.partition("/")
    if folder == "flowcl":
        return PUBLIC.get(name.removesuffix(".h"))
    return folder if folder in MAY_INCLUDE else None


def without_comments(text):
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(\\.|[^"\\])*"', "", text, flags=re.S)


def check_layer(path, layer):
    text = path.read_text(encoding="utf-8")
    for _, include in INCLUDE.findall(text):
        other = layer_of(include)
        if other and other != layer and other not in MAY_INCLUDE[layer]:
            yield f"{path}: layer {layer} includes <{include}> of layer {other}"
        if include == "mpi.h" and layer != "ranks":
            yield f"{path}: only the layer ranks includes <{include}>"
        if include.startswith(("CL/", "clblast")) and layer != "device":
            yield f"{path}: only the device layer includes <{include}>"
    if layer != "device" and (name := OPENCL.search(without_comments(text))):
        yield f"{path}: the OpenCL name {name[0]} outside the device layer"


def check_user(path):
    text = path.read_text(encoding="utf-8")
    for quote, include in INCLUDE.findall(text):
        inside = quote == '"' and (path.parent / include).exists()
        if layer_of(include) and not include.startswith("flowcl/") and not inside:
            yield f"{path}: includes the private header {include}"


def check_operations():
    """An operation is one object in src/op and one line of ops.h; nothing else in the library knows it, or asks for a name."""
    listed = re.findall(r"ROW\((\w+)\)", (ROOT / "src/op/ops.h").read_text(encoding="utf-8").partition("#define FCL_OPS(ROW)")[2])
    if len(listed) < 40 or len(set(listed)) != len(listed):
        yield f"src/op/ops.h: {len(listed)} operations, of which {len(set(listed))} are different"
    objects = {}
    for path in sorted((ROOT / "src").rglob("*.[ch]")):
        text = without_comments(path.read_text(encoding="utf-8"))
        for name in re.findall(r"^const fcl_op fcl_op_(\w+) = ", text, re.M):
            objects.setdefault(name, []).append(path)
        if path.parent.name != "op" and (name := re.search(r"\bfcl_op_\w+", text)):
            yield f"{path}: knows the operation {name[0]}; what is asked of it belongs into its object"
        if name := re.search(r"\bstrn?(case)?cmp\([^;]*\bop\s*->\s*name\b", text):
            yield f"{path}: compares an operation's name"
    for name, paths in objects.items():
        if name not in listed or len(paths) > 1 or paths[0].parent.name != "op":
            yield f"{paths[0]}: the operation {name} is one object in src/op and a line of ops.h"
    for name in set(listed) - set(objects):
        yield f"src/op/ops.h: {name} has no object"


faults, files = list(check_operations()), 0
for layer in MAY_INCLUDE:
    for path in sorted((ROOT / "src" / layer).glob("*.[ch]")):
        files += 1
        faults += check_layer(path, layer)
for folder in ("tools", "examples"):
    for path in sorted((ROOT / folder).glob("*.[ch]")):
        files += 1
        faults += check_user(path)
for path in sorted((ROOT / "include" / "flowcl").glob("*.h")):
    files += 1
    if name := OPENCL.search(without_comments(path.read_text(encoding="utf-8"))):
        faults.append(f"{path}: the OpenCL name {name[0]} in a public header")
print("\n".join(faults) or f"{files} files keep to their layers")
sys.exit(bool(faults) or files < 20)
