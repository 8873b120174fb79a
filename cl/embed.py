"""Turns the kernel sources into one C file: an array of (name, role, wide, needs, text), in the order given.

`needs` are the headers that a file includes, and those that they include. The texts are without these lines.

Those of --real are headers that hold functions of `real`: their text stands once for each type. NAME.h is that of the
types of all devices, NAME_wide.h that of CPUs, for which alone all of --wide-header and --wide-program is.

usage: embed.py OUTPUT --real FILE... --header FILE... --wide-header FILE... --program FILE... --wide-program FILE...
           --template FILE...
"""
import pathlib
import sys

output, *arguments = sys.argv[1:]
rows = []
needs = {}
option = None


def included(lines):
    names = [line.split('"')[1] for line in lines if line.startswith('#include "')]
    return {name for header in names for name in {header} | needs[header]}


def add(name, role, wide, lines):
    needs[name] = included(lines)
    lines = ["" if line.startswith('#include "') else line for line in lines]
    text = "\n".join('        "' + l.replace("\\", "\\\\").replace('"', '\\"') + '\\n"' for l in lines)
    rows.append(f'    {{"{name}", FCL_KERNEL_{role.upper()}, {"true" if wide else "false"}, " {" ".join(sorted(needs[name]))} ",\n{text}}},\n')


def add_real(path, lines, reals, wide):
    of_type = [line for real in reals
               for line in [f"#define real {real}", f'#line 1 "cl/{path.name}"', *lines, "#undef real"]]
    add(path.stem + ("_wide.h" if wide else ".h"), "header", wide, of_type)


for argument in arguments:
    if argument.startswith("--"):
        option = argument[2:]
        continue
    path = pathlib.Path(argument)
    lines = path.read_text(encoding="utf-8").splitlines()
    if option == "real":
        add_real(path, lines, ["float", "float4"], False)
        add_real(path, lines, ["float16"], True)
    else:
        add(path.name, option.removeprefix("wide-"), option.startswith("wide-"), lines)
pathlib.Path(output).write_text(
    '#include "device/kernels.h"\n\n'
    "const fcl_kernel_source fcl_kernel_sources[] = {\n" + "".join(rows) + "    {0},\n};\n",
    encoding="utf-8")
