#!/usr/bin/env python3
"""A public header as a man page, from its own comments: header_man.py HEADER VERSION, to standard output.

A comment becomes text, of which what is indented by four blanks more stays as it is; a line "--- what ---" is a section's
title; code stands below what is said of it. The frame of a header (guards, includes, extern "C") is left out."""

import pathlib
import re
import sys

FRAME = re.compile(r'#ifndef FLOWCL_\w+_H$|#define FLOWCL_\w+_H$|#endif$|#ifdef __cplusplus$|extern "C" \{$|\}$|#include ')


def plain(line):
    line = line.replace("\\", "\\e").replace("-", "\\-").replace("^", "\\(ha").replace("~", "\\(ti").replace("'", "\\(aq")
    return "\\&" + line if line.startswith((".", "'")) else line


def blocks(text):
    """(kind, lines) of a header: "comment" without its marks, or "code", which ends at a blank line."""
    lines = iter(text.splitlines())
    code = []
    for line in lines:
        if line.startswith("/*"):
            if code:
                yield "code", code
                code = []
            comment = [line[2:]]
            while not comment[-1].endswith("*/"):
                comment.append(next(lines))
            comment[-1] = comment[-1][:-2]
            yield "comment", [comment[0].strip()] + [re.sub(r"^ \* ?", "", part).rstrip() for part in comment[1:]]
        elif line.strip() and not (FRAME.match(line) and not code):
            code.append(line)
        elif code:
            yield "code", code
            code = []
    if code:
        yield "code", code


def print_comment(lines):
    literal = False
    for line in lines:
        title = re.match(r"--- (.*?) ---$", line)
        if (line.startswith("    ") or (literal and not line)) != literal:
            literal = not literal
            print(".RS 4\n.EX" if literal else ".EE\n.RE")
        if title:
            print(f".SS {plain(title[1])}")
        elif literal or line:
            print(plain(line[4:] if literal else line))
        else:
            print(".PP")
    if literal:
        print(".EE\n.RE")


def main():
    path, version = sys.argv[1:]
    parts = list(blocks(open(path, encoding="utf-8").read()))
    name, summary = pathlib.Path(path).name, parts[0][1][0].partition(": ")[2]
    rest = parts[0][1][1:]
    while rest and rest[0]:  # the sentence may go on
        summary += " " + rest.pop(0)
    print(f'.TH "flowcl_{name}" 3 "" "flowcl {version}" "flowcl manual"\n.SH NAME\nflowcl_{plain(name)} \\- '
          f'{plain(summary.rstrip("."))}\n.SH SYNOPSIS\n.B #include <flowcl/{plain(name)}>\n.SH DESCRIPTION')
    print_comment(rest)
    for kind, lines in parts[1:]:
        print(".PP")
        if kind == "comment":
            print_comment(lines)
        else:
            print(".RS 4\n.EX")
            for line in lines:
                print(plain(line.removeprefix("FCL_API ")))
            print(".EE\n.RE")
    print('.SH "SEE ALSO"\n.BR flowcl (1)')


main()
