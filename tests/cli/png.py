"""Pictures of bytes as the scripts here read them: without what they test."""
import struct
import zlib


def paeth(a, b, c):
    return min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]


def read(name):
    """The rows of a .png of eight bits, and how many bytes a pixel has: 1 grey, 3 colours, 4 with opacity."""
    content, at, packed = open(name, "rb").read(), 8, b""
    while at < len(content):
        size, kind = struct.unpack(">I4s", content[at:at + 8])
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", content[at + 8:at + 18])
        if kind == b"IDAT":
            packed += content[at + 8:at + 8 + size]
        at += size + 12
    assert depth == 8, depth
    channels = {0: 1, 2: 3, 6: 4}[colour]
    length, data = channels * width, zlib.decompress(packed)
    rows, above = [], bytes(length)
    for y in range(height):
        begin = y * (length + 1)
        kind, row = data[begin], bytearray(data[begin + 1:begin + 1 + length])
        for i in range(length):
            a, b, c = (row[i - channels], above[i], above[i - channels]) if i >= channels else (0, above[i], 0)
            row[i] = (row[i] + (0, a, b, (a + b) // 2, paeth(a, b, c))[kind]) % 256
        rows.append(bytes(row))
        above = row
    return rows, channels
