"""Looks for numbers that C's functions would write or read by the locale: "0,5" for a half. text.h has the others."""
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1])
# The only files that may: they put the calling thread into C's own locale.
PLACES = {"src/base/text.c", "src/base/json.c", "src/base/locale.h"}
FLOAT = re.compile(r"%(?:\d+\$)?[-+ #0']*(?:\d+|\*)?(?:\.(?:\d+|\*)?)?[lL]?[aAeEfFgG]")
CALL = re.compile(r"\b([a-z_]\w*)\s*\(")
# By the format they are given, which must be in sight.
BY_FORMAT = {"printf", "fprintf", "sprintf", "snprintf", "dprintf", "asprintf", "sscanf", "fscanf", "scanf"}
NEVER = {"vprintf", "vfprintf", "vsprintf", "vsnprintf", "vdprintf", "vasprintf", "vsscanf", "vfscanf",
         "strtod", "strtof", "strtold", "atof", "ecvt", "fcvt", "gcvt",
         "setlocale", "newlocale", "uselocale", "localeconv"}
# The library may be called by a program with any locale; our own program has C's.
NEVER_IN_LIBRARY = {"json_loads", "json_loadb", "json_loadf", "json_load_file", "json_load_callback",
                    "json_dumps", "json_dumpb", "json_dumpf", "json_dump_file", "json_dump_callback"}
TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'', re.S)


def plain(text):
    """The text, equally long, without comments and with the inside of literals blanked."""
    def blank(match):
        token = match[0]
        inside = re.sub(r"[^\n]", " ", token[1:-1])
        return token[0] + inside + token[-1] if token[0] in "\"'" else re.sub(r"[^\n]", " ", token)
    return TOKEN.sub(blank, text)


def arguments(bare, begin):
    """Where the call's closing parenthesis stands."""
    depth = 1
    while depth:
        depth += {"(": 1, ")": -1}.get(bare[begin], 0)
        begin += 1
    return begin - 1


def has_float(text):
    """Whether a literal among the arguments has a conversion of a float; PRId64 and its like end one of integers."""
    joined = re.sub(r'"\s*PRI\w+\s*(?:"|$)', "d", text)
    return any(FLOAT.search(literal.replace("%%", "")) for literal in re.findall(r'"((?:\\.|[^"\\])*)"', joined))


def faults_of(path, name):
    text = path.read_text(encoding="utf-8")
    bare = plain(text)
    never = NEVER | (NEVER_IN_LIBRARY if name.startswith("src/") else set())
    for match in CALL.finditer(bare):
        begin, end = match.end(), arguments(bare, match.end())
        if match[1] in never or match[1] in BY_FORMAT and has_float(text[begin:end]):
            yield f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match[1]} goes by the locale: see <flowcl/text.h>"


faults, files = [], 0
for folder in ("src", "tools", "include"):
    for path in sorted((ROOT / folder).rglob("*.[ch]")):
        name = path.relative_to(ROOT).as_posix()
        if name not in PLACES:
            files += 1
            faults += faults_of(path, name)
print("\n".join(faults) or f"{files} files write and read numbers whatever the locale")
sys.exit(bool(faults) or files < 20)
