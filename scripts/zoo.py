"""Every model of a zoo, explained or honestly refused: `python scripts/zoo.py --work FOLDER`.

Exports timm architectures with seeded weights, with a batch of 1 and with an open one, hooks each as IR and as ONNX with
verification on (outputs bit-identical; maps held to the definition, computed by the original tail), and writes
FOLDER/zoo.md: explained, refused (why), wrong, or not to be exported. What is there is not done again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.progress import Progress
from side_by_side import PEERS, environment

SECONDS = 300  # for one model
NAMES = """
bat_resnext26ts botnet26t_256 cait_xxs24_224 coatnet_nano_rw_224 convnext_atto convnextv2_atto crossvit_tiny_240 cspdarknet53
cspresnet50 darknet53 davit_tiny deit_tiny_patch16_224 densenet121 dla34 dpn48b eca_nfnet_l0 edgenext_xx_small
efficientformer_l1 efficientformerv2_s0 efficientnet_lite0 efficientvit_b0 efficientvit_m0 ese_vovnet19b_dw fastvit_t8
fbnetc_100 focalnet_tiny_srf gernet_s ghostnet_100 ghostnetv2_100 gmixer_12_224 halonet26t hardcorenas_a hgnet_tiny hgnetv2_b0
hiera_tiny_224 hrnet_w18_small inception_next_atto inception_v3 lambda_resnet26t lcnet_050 levit_128s mambaout_femto
maxvit_pico_rw_256 mixer_s32_224 mixnet_s mnasnet_small mobilenetv2_050 mobilenetv3_small_050 mobilenetv4_conv_small
mobileone_s0 mobilevit_xxs mobilevitv2_050 nest_tiny nf_regnet_b0 nfnet_f0 poolformer_s12 poolformerv2_s12 pvt_v2_b0 rdnet_tiny
regnetx_002 regnety_002 repghostnet_050 repvgg_a0 repvit_m0_9 res2net50_26w_4s resmlp_12_224 resnest14d resnet18 resnetv2_50
resnext50_32x4d rexnet_100 selecsls42b semnasnet_075 senet154 sequencer2d_s seresnet18 skresnet18 spnasnet_100 starnet_s1
swin_tiny_patch4_window7_224 swinv2_tiny_window8_256 tf_efficientnetv2_b0 tiny_vit_5m_224 tinynet_e tresnet_m
twins_pcpvt_small vgg11 visformer_tiny volo_d1_224 vovnet39a xception41 xcit_nano_12_p16_224
""".split()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="the folder for the environment, networks and results")
    parser.add_argument("--only", help="names, with commas between")
    parser.add_argument("--jobs", type=int, default=2, help="models at a time")
    told = parser.parse_args()
    names = told.only.split(",") if told.only else NAMES
    (told.work / "zoo").mkdir(parents=True, exist_ok=True)
    python = environment(told.work, "torch")
    cases = [(name, batch) for name in names for batch in ("static", "dynamic")]
    rows: list[dict[str, Any]] = []
    with Progress() as bar, ThreadPoolExecutor(told.jobs) as pool:
        task = bar.add_task("hooking", total=len(cases))
        for found in pool.map(lambda case: hook(told.work, python, *case), cases):
            rows.extend(found)
            bar.advance(task)
    text = table(rows)
    (told.work / "zoo.md").write_text(text, encoding="utf-8")
    print(text)


def hook(work: Path, python: Path, name: str, batch: str) -> list[dict[str, Any]]:
    """What became of one export, as ONNX and as IR."""
    kept = work / "zoo" / f"{name}_{batch}.json"
    if not kept.exists():
        model = work / "zoo" / f"{name}_{batch}.onnx"
        case = {"name": name, "batch": batch}
        command = [python, PEERS / "export_timm.py", name, batch, model]
        done = model.exists() or subprocess.run(command, capture_output=True, check=False).returncode == 0
        found = [
            {**case, "dialect": d, **(one(model, d) if done else {"became": "cannot be exported"})} for d in ("onnx", "ir")
        ]
        kept.write_text(json.dumps(found))
        model.unlink(missing_ok=True)
    result: list[dict[str, Any]] = json.loads(kept.read_text())
    return result


def one(model: Path, dialect: str) -> dict[str, Any]:
    """What became of one model, in a process of its own."""
    command = [sys.executable, __file__.replace("zoo.py", "zoo_one.py"), model, dialect]
    start = time.perf_counter()
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return {"became": "too slow", "seconds": SECONDS}
    if done.returncode:
        return {"became": "crashed", "why": (done.stderr.strip().splitlines() or ["?"])[-1]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**found, "seconds": round(time.perf_counter() - start, 1)}


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: counts, then a line a model."""
    lines = ["| dialect | batch | explained | refused | wrong | other |", "| --- | --- | --- | --- | --- | --- |"]
    for dialect in ("onnx", "ir"):
        for batch in ("static", "dynamic"):
            became = Counter(row["became"] for row in rows if (row["dialect"], row["batch"]) == (dialect, batch))
            other = sum(became.values()) - became["explained"] - became["refused"] - became["wrong"]
            lines.append(f"| {dialect} | {batch} | {became['explained']} | {became['refused']} | {became['wrong']} | {other} |")
    lines += ["", "| model | batch | dialect | became | layer | cost | difference | why |", "| --- " * 8 + "|"]
    for row in rows:
        cells = [row.get(key, "") for key in ("name", "batch", "dialect", "became", "layer", "cost", "difference", "why")]
        lines.append("| " + " | ".join(str(cell).replace("|", "/") for cell in cells) + " |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
