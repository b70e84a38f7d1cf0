"""The serialisation that DUMP makes and RESTORE takes, of strings: what the public description of the RDB format says."""

import struct

VERSION = 10  # of Redis 7.0


def _crc64_table():
    """CRC-64 with the polynomial of Jones, reflected."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x95AC9329AC4BC9B5 if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _crc64_table()


def crc64(data):
    crc = 0
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc


def length(size):
    if size < 1 << 6:
        return bytes([size])
    if size < 1 << 14:
        return bytes([0x40 | size >> 8, size & 0xFF])
    return b"\x80" + struct.pack(">I", size)


def string(value):
    """Plain, without the short forms for integers and without compression."""
    return b"\x00" + length(len(value)) + value


def integer(number):
    """The short form of a string that is an integer."""
    for code, form, bits in ((0, "<b", 8), (1, "<h", 16), (2, "<i", 32)):
        if -1 << bits - 1 <= number < 1 << bits - 1:
            return bytes([0, 0xC0 | code]) + struct.pack(form, number)
    return string(b"%d" % number)


def sealed(body, version=VERSION):
    """With the version and the checksum."""
    body += struct.pack("<H", version)
    return body + struct.pack("<Q", crc64(body))
