"""Random hostile requests; a seed always gives the same ones."""

from __future__ import annotations

import base64
import io
import json
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache

from PIL import Image, ImageDraw

FORMATS = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "GIF": "image/gif",
    "WEBP": "image/webp",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
    "PPM": "image/x-portable-pixmap",
}
PNG = "image/png"
BOUNDARY = "bound"


@dataclass(frozen=True)
class HostileRequest:
    """A request; ``raw`` is sent as it is, valid HTTP or not."""

    kind: str
    method: str = "POST"
    path: str = "/predict"
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    raw: bytes | None = None


def hostile(seed: int, count: int) -> Iterator[HostileRequest]:
    """Yield ``count`` requests."""
    rng = random.Random(seed)
    for _ in range(count):
        yield rng.choice(GENERATORS)(rng)


@cache
def picture(name: str) -> bytes:
    """Return a correct picture of a 0 in the format ``name``."""
    image = Image.new("L", (70, 90), 255)
    ImageDraw.Draw(image).ellipse((12, 10, 58, 80), outline=0, width=9)
    file = io.BytesIO()
    image.save(file, name)
    return file.getvalue()


def _truncated(rng: random.Random) -> HostileRequest:
    name = rng.choice(list(FORMATS))
    whole = picture(name)
    return _file("truncated", whole[: rng.randrange(len(whole))], FORMATS[name])


def _damaged(rng: random.Random) -> HostileRequest:
    name = rng.choice(list(FORMATS))
    content = bytearray(picture(name))
    for _ in range(rng.randint(1, 20)):
        content[rng.randrange(len(content))] = rng.randrange(256)
    return _file("damaged", bytes(content), FORMATS[name])


def _false_header(rng: random.Random) -> HostileRequest:
    """Return a picture whose header states a false size."""
    width, height = (rng.choice((0, 1, 27, 3000, 65_535, 2**31 - 1)) for _ in range(2))
    short = struct.pack("<HH", width & 0xFFFF, height & 0xFFFF)
    jpeg, start = picture("JPEG"), picture("JPEG").index(b"\xff\xc0") + 5
    pictures = {
        "PNG": _png(width, height, picture("PNG")[33:]),
        "GIF": picture("GIF")[:6] + short + picture("GIF")[10:],
        "BMP": picture("BMP")[:18] + struct.pack("<II", width, height) + picture("BMP")[26:],
        "JPEG": jpeg[:start]
        + struct.pack(">HH", height & 0xFFFF, width & 0xFFFF)
        + jpeg[start + 4 :],
        "PPM": f"P5 {width} {height} 255\n".encode() + bytes(100),
    }
    name = rng.choice(list(pictures))
    return _file("false-header", pictures[name], FORMATS[name])


def _png(width: int, height: int, rest: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + rest


def _chunk(name: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + checksum


@cache
def _bombs() -> tuple[bytes, ...]:
    """Return small files that decompress to many pixels, or to a very large text chunk."""
    bombs = []
    for side in (2000, 20_000):
        rows = zlib.compress(bytes((side + 1) * side if side == 2000 else 10_000_000), 9)
        bombs.append(_png(side, side, _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")))
    text = _chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(30_000_000), 9))
    bombs.append(_png(70, 90, text + picture("PNG")[33:]))
    return tuple(bombs)


def _bomb(rng: random.Random) -> HostileRequest:
    return _file("bomb", rng.choice(_bombs()), PNG)


def _noise(rng: random.Random) -> HostileRequest:
    return _file("noise", rng.randbytes(rng.randrange(2000)), rng.choice([*FORMATS.values()]))


def _file(kind: str, content: bytes, media_type: str) -> HostileRequest:
    return HostileRequest(kind, headers={"Content-Type": media_type}, body=content)


def _json(rng: random.Random) -> HostileRequest:
    number = rng.choice(["0", "-1", "256", "1e999", "NaN", "9" * 5000, '"7"', "null", "[]", "1.5"])
    row = "[" + ",".join([number] * rng.choice([0, 1, 27, 28, 29])) + "]"
    image = "[" + ",".join([row] * rng.choice([0, 1, 27, 28, 29])) + "]"
    deep = rng.choice([100, 200_000])
    body = rng.choice(
        [
            f'{{"pixels": {image}}}',
            f'{{"pixels": [{image}, {image}]}}',
            "[" * deep,
            '{"pixels": ' + "[" * deep + "]" * deep + "}",
            '{"a":' * deep,
            '{"pixels": [' + "0," * rng.choice([10, 2_000_000]) + "0]}",
            json.dumps({"pictures": ["A" * rng.randrange(9)] * rng.choice([0, 3, 5000])}),
            json.dumps({"picture": base64.b64encode(_truncated(rng).body).decode("ascii")}),
            '{"picture": "\\ud800"}',
            '{"picture": 1, "picture": 2}',
            rng.choice(["", "{", "null", "\x00", '"', "tru", "{}", "[]", "0" * 100_000]),
        ]
    )
    return HostileRequest(
        "json", headers={"Content-Type": "application/json"}, body=body.encode("utf-8")
    )


def _form(rng: random.Random) -> HostileRequest:
    disposition = rng.choice(["form-data", "form-data; name=x", 'form-data; name="p"; filename="'])
    part = f'--{BOUNDARY}\r\nContent-Disposition: {disposition}; filename="\u00e9"\r\n\r\n'.encode()
    content = part + picture("PNG") + b"\r\n"
    body = content * rng.choice([0, 1, 2, 70, 2000]) + f"--{BOUNDARY}--\r\n".encode()
    damaged = bytearray(body)
    for _ in range(rng.choice([0, 0, 1, 50])):
        damaged[rng.randrange(len(damaged))] = rng.randrange(256)
    body = bytes(damaged[: rng.choice([len(damaged), rng.randrange(len(damaged) + 1)])])
    boundary = rng.choice([BOUNDARY, "", "x" * 300, f'"{BOUNDARY}"', "other"])
    return HostileRequest(
        "form", headers={"Content-Type": f"multipart/form-data; boundary={boundary}"}, body=body
    )


def _request(rng: random.Random) -> HostileRequest:
    path = rng.choice(
        ["/predict?min_confidence=" + value for value in ("", "2", "nan", "-1", "x" * 5000, "%ff")]
        + ["/", "/docs/../..", "/%00", "/%2e%2e/etc/passwd", "/predict/", "//", "/metrics?x=1"]
    )
    method = rng.choice(
        ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "TRACE", "PATCH", "ODD"]
    )
    kind = rng.choice(["", "text/plain", "image/svg+xml", "application/xml", "a" * 5000, "/", ";"])
    headers = {"Content-Type": kind, "Content-Encoding": rng.choice(["identity", "gzip", "br"])}
    return HostileRequest("request", method, path, headers, rng.randbytes(rng.randrange(50)))


def _raw(rng: random.Random) -> HostileRequest:
    length = rng.choice(["-1", "0", "10", "99999999999", "9" * 40, "1, 2", "0x10", " "])
    head = (
        f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: {PNG}\r\nContent-Length: {length}\r\n"
    )
    chunks = "POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    lines = [
        rng.randbytes(rng.randrange(300)),
        head.encode() + b"\r\n" + rng.randbytes(rng.randrange(30)),
        head.encode() + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc",
        chunks.encode() + rng.choice([b"zz\r\n", b"ffffffffffffffffff\r\n", b"5\r\nab", b"-5\r\n"]),
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 20 + b"\0",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000,
        b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ]
    return HostileRequest("raw", raw=rng.choice(lines))


GENERATORS: list[Callable[[random.Random], HostileRequest]] = [
    *(_truncated, _truncated, _damaged, _damaged, _false_header, _false_header, _noise),
    *(_bomb, _json, _json, _form, _form, _request, _request, _raw),
]
