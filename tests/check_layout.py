"""Holds the tree against its layers: which folder may include which, and who may know OpenCL."""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1])
MAY_INCLUDE = {
    "base": set(),
    "device": {"base"},
    "data": {"base"},
    "eval": {"base"},
    "graph": {"device", "base"},
    "nn": {"graph", "base"},
    "flow": {"graph", "base"},
    "train": {"base", "device", "data", "graph", "nn", "flow"},
}
# A layer's public headers by their names; a private header stands in the layer's folder.
PUBLIC = {"options": "base", "text": "base", "normalise": "data", "path": "flow", "measure": "device", "tune": "device"} | {layer: layer for layer in MAY_INCLUDE}
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


faults, files = [], 0
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
