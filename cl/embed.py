"""Turns the kernel sources into one C file: an array of (name, role, text), in the order given.

usage: embed.py OUTPUT --header FILE... --program FILE... --template FILE...
"""
import pathlib
import sys

output, *arguments = sys.argv[1:]
rows = []
role = None
for argument in arguments:
    if argument.startswith("--"):
        role = "FCL_KERNEL_" + argument[2:].upper()
        continue
    path = pathlib.Path(argument)
    lines = path.read_text(encoding="utf-8").splitlines()
    text = "\n".join('        "' + l.replace("\\", "\\\\").replace('"', '\\"') + '\\n"' for l in lines)
    rows.append(f'    {{"{path.name}", {role},\n{text}}},\n')
pathlib.Path(output).write_text(
    '#include "device/kernels.h"\n\n'
    "const fcl_kernel_source fcl_kernel_sources[] = {\n" + "".join(rows) + "    {0},\n};\n",
    encoding="utf-8")
