"""Turns the kernel sources into one C file: an array of (name, text), in the order given."""
import pathlib
import sys

output, *inputs = sys.argv[1:]
rows = []
for name in inputs:
    path = pathlib.Path(name)
    lines = path.read_text(encoding="utf-8").splitlines()
    text = "\n".join('        "' + l.replace("\\", "\\\\").replace('"', '\\"') + '\\n"' for l in lines)
    rows.append(f'    {{"{path.name}",\n{text}}},\n')
pathlib.Path(output).write_text(
    '#include "device/kernels.h"\n\n'
    "const fcl_kernel_source fcl_kernel_sources[] = {\n" + "".join(rows) + "    {0, 0},\n};\n",
    encoding="utf-8")
