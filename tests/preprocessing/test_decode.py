"""Every kind of source, damaged files, and the conversion to grey."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import drawn
from PIL import Image

from kilonet.preprocessing.decode import MAX_SIDE, decode_grey, flatten_alpha, luma
from kilonet.preprocessing.errors import PictureError, TooLargeError, UnreadableError

INK = drawn(side=40, width=4)


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM", "GIF"])
def test_lossless_files(form: str, tmp_path: Path) -> None:
    path = tmp_path / "a picture"
    path.write_bytes(encoded(Image.fromarray(INK), form))
    assert np.array_equal(decode_grey(path).grey, INK)
    assert decode_grey(str(path)).name == str(path)
    assert np.array_equal(decode_grey(path.read_bytes()).grey, INK)


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_lossy_files(form: str) -> None:
    found = decode_grey(encoded(Image.fromarray(INK).convert("RGB"), form, quality=95)).grey
    assert np.abs(found.astype(int) - INK).max() < 40


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I", "I;16", "F"])
def test_images_of_every_mode(mode: str) -> None:
    bilevel = np.where(INK > 127, 255, 0).astype(np.uint8)
    if mode == "I;16":
        image = Image.fromarray(bilevel.astype(np.uint16) * 257)
    else:
        image = Image.fromarray(bilevel).convert(mode)
    assert np.array_equal(decode_grey(image).grey, bilevel)


@pytest.mark.parametrize(
    "array",
    [
        INK,
        INK[..., None],
        np.stack([INK] * 3, axis=-1),
        INK / 255,
        (INK / 255).astype(np.float32),
        (INK / 255).astype(np.float16),
        np.dstack([INK] * 3 + [np.full_like(INK, 255)]),
    ],
)
def test_arrays(array: Any) -> None:
    assert np.array_equal(decode_grey(array).grey, INK)


def test_bools_are_black_and_white() -> None:
    assert np.array_equal(np.unique(decode_grey(INK > 127).grey), [0, 255])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4, 2)), "its shape is 4×4×2"),
        (np.zeros(7, np.uint8), "its shape is 7"),
        (np.zeros((0, 5), np.uint8), "its shape is 0×5"),
        (np.zeros((5, 5), np.int64), "its values are int64"),
        (np.full((5, 5), 200.0), "its values run from 200 to 200; floats must be 0 to 1"),
        (np.full((5, 5), np.nan), "floats must be 0 to 1"),
        (np.full((5, 5), "a"), "its values are <U1"),
    ],
)
def test_invalid_arrays(array: Any, message: str) -> None:
    with pytest.raises(UnreadableError, match="The array cannot be read") as caught:
        decode_grey(array)
    assert message in str(caught.value)


def test_orientation() -> None:
    turned = Image.fromarray(INK).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # "the 0th row is the visual right-hand side": turn it clockwise
    found = decode_grey(encoded(turned, "PNG", exif=exif)).grey
    assert np.array_equal(found, INK)


def test_the_first_frame_counts() -> None:
    frames = [Image.fromarray(INK), Image.fromarray(INK.T.copy())]
    animation = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert np.array_equal(decode_grey(animation).grey, INK)


def test_a_palette_with_a_transparent_colour() -> None:
    image = Image.fromarray(np.where(INK > 127, 1, 0).astype(np.uint8), mode="P")
    image.putpalette([9, 9, 9, 0, 0, 0])
    found = decode_grey(encoded(image, "PNG", transparency=0)).grey
    assert np.array_equal(found, np.where(INK > 127, 0, 255))


def png_that_claims(width: int, height: int, rows: bytes = b"") -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    end = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + end


@pytest.mark.parametrize("side", [8_001, 12_000, 60_000, 2**31 - 1])
def test_a_decompression_bomb(side: int) -> None:
    with pytest.raises(PictureError, match="pixels"):
        decode_grey(png_that_claims(side, side))


def test_the_limit_on_pixels_can_be_set() -> None:
    with pytest.raises(TooLargeError, match="has 40×40 pixels; at most 1,599 are allowed"):
        decode_grey(encoded(Image.fromarray(INK)), max_pixels=1599)
    for source in (INK, Image.fromarray(INK)):
        with pytest.raises(TooLargeError):
            decode_grey(source, max_pixels=1599)
        decode_grey(source, max_pixels=1600)


@pytest.mark.parametrize("shape", [(1, MAX_SIDE + 1), (MAX_SIDE + 1, 1), (2, 1_000_000)])
def test_a_side_is_too_long(shape: tuple[int, int]) -> None:
    grey = np.full(shape, 255, np.uint8)
    for source in (grey, Image.fromarray(grey), encoded(Image.fromarray(grey))):
        with pytest.raises(TooLargeError, match="each side may have at most 32,768"):
            decode_grey(source)
    assert decode_grey(grey[:MAX_SIDE, :MAX_SIDE]).grey.size <= MAX_SIDE * 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\x89PNG\r\n\x1a\n",
        png_that_claims(100, 100),
        png_that_claims(0, 100),
        b"GIF89a\xff\xff\xff\xff",
        b"BM" + bytes(60),
        b"RIFF\x04\0\0\0WEBP",
        b"\xff\xd8\xff\xe0\0\x10JFIF",
        b"P5 9999 2 255 ",
        b"II*\0\x08\0\0\0\xff\xff",
    ],
)
def test_invalid_files(content: bytes) -> None:
    with pytest.raises(UnreadableError, match="The picture cannot be read as a picture: "):
        decode_grey(content)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
def test_truncated_files(form: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 60), dtype=np.uint8)
    whole = encoded(Image.fromarray(noise), form)
    for share in (0.1, 0.5, 0.9):
        with pytest.raises(UnreadableError):
            decode_grey(whole[: int(len(whole) * share)])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_files_give_pixels_or_an_error(data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM"]))
    content = bytearray(encoded(Image.fromarray(INK), form))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        grey = decode_grey(bytes(content)).grey
    except PictureError as error:
        assert "\n" not in str(error)
    else:
        assert grey.ndim == 2
        assert grey.dtype == np.uint8


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match=r"no\.png cannot be read as a picture: No such file"):
        decode_grey(tmp_path / "no.png")
    with pytest.raises(UnreadableError, match="Is a directory"):
        decode_grey(tmp_path)
    with pytest.raises(UnreadableError, match="null"):
        decode_grey("a\0b")


def test_luma_equals_pillow() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    assert np.array_equal(luma(colours), np.asarray(Image.fromarray(colours).convert("L")))


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 30, 30), (120, 120, 120)])
@pytest.mark.parametrize("hidden", [0, 255])
def test_ink_on_a_transparent_background(colour: tuple[int, int, int], hidden: int) -> None:
    rgba = np.dstack([np.full((*INK.shape, 3), colour, dtype=np.uint8), INK])
    rgba[INK == 0, :3] = hidden
    grey = flatten_alpha(rgba).astype(int)
    level = int(luma(np.array([[colour]], dtype=np.uint8))[0, 0])
    fill = 255 if level < 128 else 0
    assert (grey[INK == 0] == fill).all()
    assert (grey[INK == 255] == level).all()


def test_a_sheet_on_a_transparent_background() -> None:
    sheet = np.zeros((60, 60, 4), dtype=np.uint8)
    sheet[10:50, 10:50, :3] = (230 - INK.astype(int) * 200 // 255)[..., None]
    sheet[10:50, 10:50, 3] = 255
    grey = flatten_alpha(sheet)
    assert (grey[:10] == 230).all()
    assert grey[10:50, 10:50].min() == 30


def test_fully_transparent_and_fully_opaque() -> None:
    assert (flatten_alpha(np.zeros((5, 5, 4), dtype=np.uint8)) == 255).all()
    opaque = np.dstack([INK, INK, INK, np.full_like(INK, 255)])
    assert np.array_equal(flatten_alpha(opaque), INK)


@pytest.mark.parametrize(
    ("content", "name", "remedy"),
    [
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "HEIC", "pillow-heif"),
        (b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic", "HEIC", "JPEG"),
        (b"\x00\x00\x00\x20ftypavif\x00\x00\x00\x00avifmif1", "AVIF", "PNG or JPEG"),
        (b"%PDF-1.7\n", "PDF", "as PNG"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG", "as PNG"),
        (b'  <svg viewBox="0 0 1 1"></svg>', "SVG", "as PNG"),
    ],
)
def test_other_formats_are_named_with_a_remedy(
    content: bytes, name: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as if it were not installed
    with pytest.raises(UnreadableError, match=f"{name}.*{remedy}"):
        decode_grey(content)


def test_heic_is_read_where_its_package_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    registered = []
    package = SimpleNamespace(register_heif_opener=lambda: registered.append(True))
    monkeypatch.setitem(sys.modules, "pillow_heif", package)  # type: ignore[arg-type]
    with pytest.raises(UnreadableError, match="no known format"):
        decode_grey(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic")
    assert registered


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP"])
@pytest.mark.parametrize("more", [False, True])
def test_later_frames_are_noticed(kind: str, more: bool) -> None:
    frames = [Image.new("L", (20, 20), level) for level in (0, 90, 200)]
    file = io.BytesIO()
    frames[0].save(file, kind, save_all=True, append_images=frames[1:] if more else [])
    assert decode_grey(file.getvalue()).has_more is more
