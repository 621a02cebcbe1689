"""Kinds of OpenVINO IR: each changes one thing of the XML, or of the weights beside it."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from html import escape
from itertools import pairwise
from pathlib import Path

import numpy as np

from hostile_files.traps import BIG, INFO, NO_FILES, NOT_TEXT, OURS, RECORD, TEXTS, bytes_changed
from hostile_files.traps import NAMES as ANY_NAMES

NAMES = ["".join(c if ord(c) >= 32 else f"&#{ord(c)};" for c in escape(name)) for name in ANY_NAMES]
Change = Callable[[random.Random, str, Path], "str | bytes | None"]
KINDS: dict[str, Change] = {}
LAYER, EDGE = r"<layer .*?</layer>", r"<edge [^>]*/>"
PORTS = r'<port id="\d+"[^>]*>.*?</port>'


def kind(name: str) -> Callable[[Change], Change]:
    """Register a change under a name: of an XML, at whose path stands no file yet, and of the weights that stand beside it."""

    def register(change: Change) -> Change:
        KINDS[f"ir: {name}"] = change
        return change

    return register


def _swapped(rng: random.Random, text: str, pattern: str, value: object, group: int = 1) -> str:
    """The text with one place that matches, at random, being something else."""
    places = list(re.finditer(pattern, text, flags=re.DOTALL))
    if not places:
        return text
    place = rng.choice(places)
    return text[: place.start(group)] + str(value) + text[place.end(group) :]


def _inserted(rng: random.Random, text: str, pattern: str, value: str) -> str:
    """The text with something behind a place that matches."""
    places = list(re.finditer(pattern, text, flags=re.DOTALL))
    if not places:
        return text
    place = rng.choice(places)
    return text[: place.end()] + value + text[place.end() :]


@kind("bytes")
def _bytes(rng: random.Random, text: str, path: Path) -> bytes:
    return bytes_changed(rng, text.encode())


@kind("fields")
def _fields(rng: random.Random, text: str, path: Path) -> str:
    for _ in range(rng.choice([1, 1, 2, 4])):
        value = rng.choice([*map(str, BIG), "", "f32", "i64", "u4", "nonsense", "1,2,3", "9" * 30, "..", "true"])
        text = _swapped(rng, text, r'\w+="([^"]*)"', value)
    return text


@kind("layers gone, doubled, or one id twice")
def _layers(rng: random.Random, text: str, path: Path) -> str:
    choice = rng.randrange(4)
    if choice == 0:
        return _swapped(rng, text, LAYER, "", 0)
    if choice == 1:
        layer = rng.choice(re.findall(LAYER, text, flags=re.DOTALL))
        return _inserted(rng, text, LAYER, layer)
    return _swapped(rng, text, r'<layer id="(\d+)"', rng.choice(["0", "1", "3", "-1", "", "a", "4294967296", "9" * 40]))


@kind("edges")
def _edges(rng: random.Random, text: str, path: Path) -> str:
    choice = rng.randrange(4)
    if choice == 0:
        return _swapped(rng, text, EDGE, "", 0)
    if choice == 1:
        return _inserted(rng, text, EDGE, rng.choice(re.findall(EDGE, text)))
    field = rng.choice(["from-layer", "from-port", "to-layer", "to-port"])
    return _swapped(
        rng, text, rf'{field}="(\d+)"', rng.choice(["0", "1", "2", "5", "9", "-1", "", "x", "4294967297", "9" * 30])
    )


@kind("circles")
def _circles(rng: random.Random, text: str, path: Path) -> str:
    layers = re.findall(r'<layer id="(\d+)"', text)
    for _ in range(rng.choice([1, 2])):
        text = _swapped(rng, text, r'from-layer="(\d+)"', rng.choice(layers[-3:]))
    return text


@kind("versions and types of layers")
def _types(rng: random.Random, text: str, path: Path) -> str:
    if rng.random() < 0.5:
        return _swapped(
            rng,
            text,
            r' version="(opset\d+)"',
            rng.choice([f"opset{n}" for n in range(18)] + ["", "extension", "experimental"]),
        )
    types = "Parameter Result Const Loop If TensorIterator Assign ReadValue Custom Convolution MatMul Softmax Reshape NonZero"
    return _swapped(rng, text, r' type="(\w+)"', rng.choice([*types.split(), *NAMES]))


@kind("versions of the file")
def _version(rng: random.Random, text: str, path: Path) -> str:
    text = _swapped(rng, text, r'<net [^>]*version="(\d+)"', rng.choice(["", "0", "6", "7", "10", "12", "999", "-1", "x"]))
    if rng.random() < 0.5:
        extra = [
            "<pre-process mean-precision='FP32'><channel id='0'><mean value='nan'/></channel></pre-process>",
            "<meta_data><layout value='x'/></meta_data>",
            "<statistics/>",
            "<net/>",
        ]
        text = text.replace("</net>", rng.choice(extra) + "</net>")
    return text


def _info(rng: random.Random, section: str, keys: list[str]) -> str:
    texts = [escape(item, quote=True) for item in TEXTS if "\x00" not in item and "\x1b" not in item]
    choice = rng.randrange(6)
    if choice == 0:
        return f'<{section} value="{rng.choice(texts)}"/>'
    if choice == 1:
        return f"<{section}>{rng.choice(texts)}</{section}>"
    if choice == 2:
        return f"<{section}><{section}><layer value='f'/></{section}></{section}>"
    entries = "".join(
        rng.choice(
            [
                f'<{key} value="{rng.choice(texts)}"/>',
                f'<{key} value="{rng.choice(texts)}"/>',
                f'<{key}><deeper value="{rng.choice(texts)}"/></{key}>',
                f"<{key}>{rng.choice(texts)}</{key}>",
                f'<{key} value="1"/><{key} value="2"/>',
                f'<{key} type="{rng.choice(["int", "float", "bool", "x"])}" value="{rng.choice(texts)}"/>',
            ]
        )
        for key in rng.sample(keys, rng.choice([1, 2, 8, len(keys)]))
    )
    return f"<{section}>{entries}</{section}>"


def _with_section(rng: random.Random, text: str, section: str) -> str:
    """With an entry in the model's rt_info, beside what is there or in place of it."""
    if rng.random() < 0.3:
        return re.sub(r"<rt_info>(?!.*<rt_info>).*?</rt_info>", "", text, flags=re.DOTALL).replace(
            "</net>", f"<rt_info>{section}</rt_info></net>"
        )
    if "</rt_info>\n</net>" in text:
        return text.replace("</rt_info>\n</net>", f"{section}</rt_info></net>")
    return text.replace("</net>", f"<rt_info>{section}</rt_info></net>")


@kind("a forged record")
def _record(rng: random.Random, text: str, path: Path) -> str:
    text = _with_section(rng, text, _info(rng, "ovxai", RECORD))
    return _names_of_ours(rng, text, path) if rng.random() < 0.4 else text


@kind("forged preprocessing")
def _preprocessing(rng: random.Random, text: str, path: Path) -> str:
    return _with_section(rng, text, _info(rng, "model_info", INFO))


@kind("rt_info of layers and of the model")
def _rt_info(rng: random.Random, text: str, path: Path) -> str:
    if rng.random() < 0.5:
        entry = f'<attribute name="{rng.choice(NAMES)}" version="{rng.choice(["0", "9", "x"])}" value="{rng.choice(NAMES)}"/>'
        return _inserted(rng, text, r"<layer [^>]*>", f"<rt_info>{entry * rng.choice([1, 2, 500])}</rt_info>")
    depth = rng.choice([1, 5, 100, 3000])
    return _with_section(rng, text, "<a>" * depth + "</a>" * depth)


@kind("weights missing, short, a link, a pipe")
def _bin(rng: random.Random, text: str, path: Path) -> None:
    beside = path.with_suffix(".bin")
    data = beside.read_bytes()
    beside.unlink()
    choice = rng.choice([*NO_FILES, "short", "a link beside it", "missing"])
    if choice in NO_FILES:
        NO_FILES[choice](beside)
    elif choice == "short":
        beside.write_bytes(data[: rng.choice([0, 1, len(data) // 2, len(data) - 1])])
    elif choice == "a link beside it":
        beside.with_name("other.bin").write_bytes(data)
        beside.symlink_to("other.bin")
    path.write_text(text)


@kind("the XML a link, a pipe, a folder")
def _odd_file(rng: random.Random, text: str, path: Path) -> None:
    choice = rng.choice(["link to the secret", "folder", "pipe", "link to itself", "a link beside it"])
    if choice in NO_FILES:
        NO_FILES[choice](path)
    else:
        path.with_name("other.xml").write_text(text)
        path.symlink_to("other.xml")


@kind("bytes of weights")
def _weights(rng: random.Random, text: str, path: Path) -> str:
    beside = path.with_suffix(".bin")
    beside.write_bytes(bytes_changed(rng, beside.read_bytes()))
    return text


@kind("weights NaN, infinite, denormal, huge or 0")
def _values(rng: random.Random, text: str, path: Path) -> str:
    beside = path.with_suffix(".bin")
    data = beside.read_bytes()
    array = np.frombuffer(data[: len(data) // 4 * 4], np.float32).copy()
    for _ in range(rng.choice([1, 1, 5, array.size])):
        array[rng.randrange(array.size)] = rng.choice([np.nan, np.inf, -np.inf, 1e-42, 3e38, 0.0])
    beside.write_bytes(array.tobytes() + data[array.nbytes :])
    return text


@kind("entities and declarations")
def _entities(rng: random.Random, text: str, path: Path) -> str:
    laughs = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    secret = os.environ["HOSTILE_SECRET"]
    declarations = [
        f'<!DOCTYPE net [<!ENTITY l0 "ha">{laughs}]>',
        f'<!DOCTYPE net [<!ENTITY l9 SYSTEM "file://{secret}">]>',
        '<!DOCTYPE net SYSTEM "http://127.0.0.1:9/x.dtd">',
        f'<!DOCTYPE net [<!ENTITY % p SYSTEM "file://{secret}"> %p;]>',
        f'<?xml-stylesheet href="file://{secret}"?>',
        "<!-- " + "-" * 100_000 + " -->",
    ]
    text = re.sub(r"<\?xml[^>]*\?>", lambda match: match[0] + rng.choice(declarations), text, count=1)
    name = rng.choice(["&l9;", "&l9;", "&#0;", "&#x1b;[31m", "&#xD800;", "&nothing;", "&#99999999;"])
    return _swapped(rng, text, r'<layer id="\d+" name="([^"]*)"', name)


@kind("encodings")
def _encoding(rng: random.Random, text: str, path: Path) -> bytes:
    choice = rng.randrange(6)
    if choice == 0:
        return text.encode("utf-16")
    if choice == 1:
        return b"\xef\xbb\xbf" + text.encode()
    if choice == 2:
        return text.replace('version="1.0"', 'version="1.0" encoding="latin-1"', 1).encode()
    if choice == 3:
        return text.encode("utf-32")
    if choice == 4:
        return text.replace("</net>", "\x00</net>").encode()
    return _swapped(rng, text, r'name="([^"]*)"', NOT_TEXT).encode()


@kind("names of layers")
def _layer_names(rng: random.Random, text: str, path: Path) -> str:
    for name in rng.sample(NAMES, rng.choice([1, 1, 4])):
        text = _swapped(rng, text, r'<layer id="\d+" name="([^"]*)"', name)
    if rng.random() < 0.2:
        text = re.sub(r'(<layer id="\d+" name=")[^"]*"', lambda match: match[1] + rng.choice(NAMES[:1]) + '"', text)
    return text


@kind("names of values")
def _value_names(rng: random.Random, text: str, path: Path) -> str:
    for name in rng.sample([*NAMES, "a\\,b", ",", ",,,", "\\"], rng.choice([1, 1, 3])):
        text = _swapped(rng, text, r' names="([^"]*)"', name)
    if rng.random() < 0.2:
        text = re.sub(r' names="[^"]*"', "", text)
    return text


@kind("names of ours")
def _names_of_ours(rng: random.Random, text: str, path: Path) -> str:
    return _swapped(rng, text, rng.choice([r' names="([^"]*)"', r'<layer id="\d+" name="([^"]*)"']), rng.choice(OURS))


@kind("huge attributes")
def _huge(rng: random.Random, text: str, path: Path) -> str:
    value = rng.choice(["7" * 100_000, "1," * 50_000, "a" * 1_000_000, "-" * 1000, "1e" + "9" * 100, "0x10", "+5", " 3 "])
    return _swapped(rng, text, r'<data [^>]*?\w+="([^"]*)"', value)


@kind("numbers in attributes")
def _numbers(rng: random.Random, text: str, path: Path) -> str:
    for _ in range(rng.choice([1, 1, 3])):
        text = _swapped(rng, text, r'<data [^>]*?"[^"]*?(-?\d+)[^"]*"', rng.choice(BIG))
    return text


@kind("attributes gone, twice or unknown")
def _attributes(rng: random.Random, text: str, path: Path) -> str:
    choice = rng.randrange(3)
    if choice == 0:
        return _swapped(rng, text, r'<data [^>]*?(\w+="[^"]*")', "")
    if choice == 1:
        return _swapped(rng, text, r"(<data )", '<data element_type="f16" element_type="i64" ')
    return _swapped(rng, text, r"(<data )", f'<data unknown="{rng.choice(NAMES)}" auto_pad="same_upper" axis="1" ')


@kind("sizes of ports")
def _sizes(rng: random.Random, text: str, path: Path) -> str:
    for _ in range(rng.choice([1, 1, 3])):
        if rng.random() < 0.7:
            value = rng.choice([*BIG, -1, -1, "?", "1..4", "9" * 25, "", " 6 "])
            text = _swapped(rng, text, r"<dim>([^<]*)</dim>", value)
        else:
            text = _swapped(rng, text, r"<dim>[^<]*</dim>", rng.choice(["", "<dim>1</dim><dim>1</dim>"]), 0)
    return text


@kind("shapes of inputs and constants")
def _shapes(rng: random.Random, text: str, path: Path) -> str:
    shape = rng.choice(
        [
            "?,3,6,8",
            "1,3,6,8",
            "?,?,?,?",
            "...",
            "",
            "1..4,3,6,8",
            "0,3,6,8",
            "2,3,6,8",
            "-5,3",
            "1,6,8,3",
            f"1,3,{2**40},8",
            "4",
        ]
    )
    return _swapped(rng, text, r'shape="([^"]*)"', shape)


@kind("precisions")
def _precisions(rng: random.Random, text: str, path: Path) -> str:
    types = "f16 bf16 f64 i4 u4 u1 i8 u8 i16 i32 i64 boolean string f8e4m3 f8e5m2 nf4 dynamic undefined".split()
    if rng.random() < 0.6:
        return _swapped(rng, text, r'element_type="(\w+)"', rng.choice(types))
    return _swapped(
        rng, text, r' precision="(\w+)"', rng.choice(["FP16", "I64", "BOOL", "STRING", "UNSPECIFIED", "", "x", "U1"])
    )


@kind("places of constants in the weights")
def _places(rng: random.Random, text: str, path: Path) -> str:
    for _ in range(rng.choice([1, 1, 2])):
        size = path.with_suffix(".bin").stat().st_size
        value = rng.choice([*BIG, size, size - 1, size + 1, size - 4, "", "x", "18446744073709551615", "18446744073709551616"])
        text = _swapped(rng, text, rf'{rng.choice(["offset", "size"])}="(\d+)"', value)
    return text


@kind("special_zero and targets of reshapes")
def _reshape(rng: random.Random, text: str, path: Path) -> str:
    text = _swapped(rng, text, r'special_zero="(\w+)"', rng.choice(["true", "false", "1", "", "maybe"]))
    beside = path.with_suffix(".bin")
    data = bytearray(beside.read_bytes())
    offsets = re.findall(r'element_type="i64"[^>]*offset="(\d+)" size="(\d+)"', text)
    if offsets:
        offset, size = map(int, rng.choice(offsets))
        for place in range(offset, min(offset + size, len(data)) - 7, 8):
            if rng.random() < 0.7:
                data[place : place + 8] = np.int64(rng.choice([0, -1, -1, 1, 4, 48, *BIG])).tobytes()
        beside.write_bytes(bytes(data))
    return text


@kind("what a body holds")
def _bodies(rng: random.Random, text: str, path: Path) -> str:
    """Bodies of `If`, `Loop` and `TensorIterator`: well-formed ones with something changed in them."""
    if "<body" not in text and "_body>" not in text:
        body = "<body><layers></layers><edges></edges></body>"
        maps = '<port_map><input external_port_id="0" internal_layer_id="9" axis="0"/></port_map><back_edges/>'
        wrong = rng.choice(["TensorIterator", "Loop", "If"])
        text = _swapped(rng, text, r' type="(ReLU|Add|Convolution)"', wrong)
        return _inserted(rng, text, rf'type="{wrong}"[^>]*>', maps + body)
    inside = re.search(r"<(\w*body)>.*</\1>", text, flags=re.DOTALL)
    if inside is None:
        return text
    part = inside[0]
    choice = rng.randrange(5)
    if choice == 0:
        part = _swapped(rng, part, r'\w+="([^"]*)"', rng.choice([*BIG, "", "x"]))
    elif choice == 1:
        part = _swapped(rng, part, LAYER, "", 0)
    elif choice == 2:
        part = _swapped(rng, part, EDGE, "", 0)
    elif choice == 3:
        part = ""
    text = text[: inside.start()] + part + text[inside.end() :]
    return (
        _swapped(rng, text, r'(?:external_port_id|internal_layer_id|axis)="(-?\d+)"', rng.choice(BIG)) if choice == 4 else text
    )


@kind("tags deep inside each other, or many")
def _deep(rng: random.Random, text: str, path: Path) -> str:
    depth = rng.choice([10, 1000, 100_000])
    return text.replace(
        "<layers>",
        rng.choice(["<layers>" + "<x>" * depth + "</x>" * depth, "<x>" * depth + "<layers>", "<x/>" * depth + "<layers>"]),
        1,
    )


@kind("ten thousand layers in a chain")
def _chain(rng: random.Random, text: str, path: Path) -> str:
    match = re.search(r'<layer id="(\d+)" name="[^"]*" type="ReLU".*?</layer>', text, flags=re.DOTALL)
    if match is None:
        return _layers(rng, text, path)
    count = rng.choice([20] * 60 + [100] * 30 + [300] * 8 + [1000] + [10_000])
    layers = "".join(
        re.sub(r'id="\d+" name="[^"]*"', f'id="{10_000 + i}" name="link{i}"', match[0], count=1) for i in range(count)
    )
    layers = re.sub(r' names="[^"]*"', "", layers)
    source = [match[1], *(str(10_000 + i) for i in range(count))]
    edges = "".join(f'<edge from-layer="{a}" from-port="1" to-layer="{b}" to-port="0"/>' for a, b in pairwise(source))
    text = text.replace(f'from-layer="{match[1]}" from-port="1"', f'from-layer="{source[-1]}" from-port="1"')
    return text.replace("</layers>", layers + "</layers>", 1).replace("<edges>", "<edges>" + edges, 1)


@kind("another format")
def _format(rng: random.Random, text: str, path: Path) -> bytes:
    return rng.choice(
        [
            b"",
            b"\x00" * 100,
            b"<net",
            b"<net/>",
            b"<other></other>",
            b"<?xml version='1.0'?>",
            b"version https://git-lfs",
            b"\x08\x08",
            text.encode()[::-1],
        ]
    )


@kind("quantised oddly")
def _quantised(rng: random.Random, text: str, path: Path) -> str:
    """A FakeQuantize with odd levels and limits where a ReLU was."""
    text = _swapped(rng, text, r' type="(ReLU)"', "FakeQuantize")
    return _inserted(rng, text, r'type="FakeQuantize"[^>]*>', f'<data levels="{rng.choice(BIG)}" auto_broadcast="numpy"/>')


@kind("any other change, twice")
def _more(rng: random.Random, text: str, path: Path) -> str | bytes | None:
    names = [name for name in KINDS if not any(word in name for word in ("twice", "pipe", "deep", "thousand"))]
    changed = KINDS[rng.choice(names)](rng, text, path)
    if isinstance(changed, str):
        return KINDS[rng.choice(names)](rng, changed, path) or changed
    return changed
