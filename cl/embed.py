"""Turns the kernel sources into one C file: an array of (name, role, text), in the order given.

Those of --real are headers that hold functions of `real`: their text stands once for each type.

usage: embed.py OUTPUT --real FILE... --header FILE... --program FILE... --template FILE...
"""
import pathlib
import sys

output, *arguments = sys.argv[1:]
rows = []
role = None
REALS = ["float", "float4", "float16"]
for argument in arguments:
    if argument.startswith("--"):
        role = "FCL_KERNEL_" + argument[2:].upper()
        continue
    path = pathlib.Path(argument)
    lines = path.read_text(encoding="utf-8").splitlines()
    if role == "FCL_KERNEL_REAL":
        lines = [line for real in REALS
                 for line in [f"#define real {real}", f'#line 1 "cl/{path.name}"', *lines, "#undef real"]]
    text = "\n".join('        "' + l.replace("\\", "\\\\").replace('"', '\\"') + '\\n"' for l in lines)
    kept = role.replace("REAL", "HEADER")
    rows.append(f'    {{"{path.name}", {kept},\n{text}}},\n')
pathlib.Path(output).write_text(
    '#include "device/kernels.h"\n\n'
    "const fcl_kernel_source fcl_kernel_sources[] = {\n" + "".join(rows) + "    {0},\n};\n",
    encoding="utf-8")
