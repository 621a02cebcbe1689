"""What files of every kind are broken with: odd names, huge numbers, and places that nobody may read."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

BIG = [0, 1, 2, 3, -1, -2, 7, 255, 2**16, 2**31 - 1, 2**31, 2**40, 2**62, -(2**63)]
SECRET = b"secret of somebody else, never to be copied. " * 100  # stands in a file outside of every case
NOT_TEXT = "QZQZQZQZ"  # becomes bytes that are no UTF-8 when a file is written

NAMES = [
    "line\nfeed",
    "tab\tand\rreturn",
    "'quoted' \"twice\"",
    "[red]bold[/red] [/]",
    "[link=file:///etc/passwd]here[/link]",
    "\x1b[31mred\x1b[0m\x1b[2J",
    "\x1b]0;title\x07\x1b]52;c;cm0=\x07",
    "\x9b31m",
    "nul\x00inside",
    "turned \u202earound\u2066",
    "{braces} %s %n ${HOME} $(id) `id`",
    "<script>alert(1)</script>&amp;",
    "../../outside",
    "/etc/passwd",
    "a,b;c",
    "long" * 25_000,
    "",
    " ",
    "\u0301\u0301\u0301combining",
    "Résumé\u2028\U0001f408",
    "ovxai/constant",
    "ovxai/rows",
    "None",
    "nan",
    NOT_TEXT,
]
OURS = ["saliency_map", "saliency_class", "explain", "explain_class", "explain_probe", "ovxai/constant", "ovxai/map", "ovxai"]
TEXTS = [
    *NAMES,
    "NaN",
    "inf",
    "-1",
    "0",
    "1e400",
    "9" * 400,
    "[1, 2",
    "{}",
    "null",
    "true",
    "1,2,3,4,5",
    "image",
    "logits",
    "f",
    "softmax",
    "all",
    "top:3",
    "asked",
    "explain",
    "2",
    "-9223372036854775808",
    "0.0",
]
RECORD = (
    "version method layer score scale targets gate image scores output cost memory cells plan classes grid kernel joined "
    "prefix_tokens token_grid runtime"
).split()
INFO = (
    "mean_values scale_values reverse_input_channels resize_type layout input_size labels model_type orig_width pad_value "
    "confidence_threshold image_shape multilabel hierarchical embedded_processing"
).split()

# what stands at a path in the place of a file
NO_FILES: dict[str, Callable[[Path], object]] = {
    "link to the secret": lambda path: path.symlink_to(os.environ["HOSTILE_SECRET"]),
    "folder": Path.mkdir,
    "pipe": os.mkfifo,
    "link to itself": lambda path: path.symlink_to(path.name),
    "the secret's second name": lambda path: os.link(os.environ["HOSTILE_SECRET"], path),
    "link to zeros": lambda path: path.symlink_to("/dev/zero"),
}


def with_bad_bytes(data: bytes) -> bytes:
    """The bytes of a file, with what stands for no UTF-8 being that."""
    return data.replace(NOT_TEXT.encode(), b"\xff\xfe\x80\xc3\x28\xed\xa0\x80")


def plant(folder: Path, secret: Path, size: int = 4096) -> list[str]:
    """Put files, links and pipes beside a model; where its weights might be said to be."""
    (folder / "weights.bin").write_bytes(bytes(size))
    (folder / "short.bin").write_bytes(bytes(3))
    (folder / "link.bin").symlink_to(secret)
    (folder / "near.bin").symlink_to("weights.bin")
    (folder / "loop.bin").symlink_to("loop.bin")
    (folder / "away").symlink_to(secret.parent)
    (folder / "folder.bin").mkdir()
    os.link(secret, folder / "hard.bin")
    os.mkfifo(folder / "pipe.bin")
    return [
        *("weights.bin", "short.bin", "link.bin", "near.bin", "loop.bin", f"away/{secret.name}", "folder.bin", "hard.bin"),
        *(
            "pipe.bin",
            str(secret),
            os.path.relpath(secret, folder),
            "/etc/passwd",
            "/dev/zero",
            "/proc/self/environ",
            "none.bin",
        ),
        *(
            "",
            ".",
            "..",
            "./weights.bin",
            "folder.bin/../weights.bin",
            "a/../../outside.bin",
            "\x00",
            "w" * 5000,
            "~/x",
            "model.onnx",
        ),
    ]


def bytes_changed(rng: random.Random, data: bytes) -> bytes:
    """Flipped, cut off, left out, doubled, or nothing of what it was."""
    changed = bytearray(data)
    kind = rng.randrange(6)
    if kind == 0:
        return bytes(changed[: rng.randrange(len(changed))])
    if kind == 1:
        return rng.randbytes(rng.randrange(2000))
    if kind == 2:
        start = rng.randrange(len(changed))
        del changed[start : start + rng.randrange(1, 200)]
    elif kind == 3:
        start = rng.randrange(len(changed))
        changed[start:start] = changed[start : start + rng.randrange(1, 200)]
    else:
        for _ in range(rng.choice([1, 2, 5, 20, 100])):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)
