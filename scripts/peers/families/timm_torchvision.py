"""Architectures of timm and torchvision with seeded weights, as large as they are, by every exporter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import networks  # noqa: F401  it makes torchvision import where its binary part has no build
import timm
import torch
import torchvision

from families import torch_exports
from families.torch_exports import Export, exports_of

NAMES = """
bat_resnext26ts beit_base_patch16_224 botnet26t_256 cait_xxs24_224 coat_lite_tiny coatnet_nano_rw_224 convformer_s18 convit_tiny
convnext_atto convnextv2_atto cpubone_b0_bfrobust crossvit_tiny_240 csatv2 cspdarknet53 cspnext_tiny cspresnet50 darknet53
davit_tiny deit_tiny_patch16_224 deit_tiny_distilled_patch16_224 deit3_small_patch16_224 densenet121 dla34 dpn48b eca_nfnet_l0
edgenext_xx_small efficientformer_l1 efficientformerv2_s0 efficientnet_lite0 efficientvim_m1 efficientvit_b0 efficientvit_m0
ese_vovnet19b_dw eva02_tiny_patch14_224 fasternet_t0 fastvit_t8 fbnetc_100 focalnet_tiny_srf gcresnext26ts gcvit_xxtiny gernet_s
ghostnet_100 ghostnetv2_100 gmixer_12_224 halonet26t hardcorenas_a hgnet_tiny hgnetv2_b0 hiera_tiny_224 hieradet_small
hrnet_w18_small iformer_h inception_next_atto inception_v3 inception_v4 lambda_resnet26t lcnet_050 lcnetv2_small
legacy_seresnet18 legacy_xception levit_128s lowformer_b0 mambaout_femto maxvit_pico_rw_256 mixer_s32_224 mixnet_s mnasnet_small
mobilenetv2_050 mobilenetv3_small_050 mobilenetv4_conv_small mobileone_s0 mobilevit_xxs mobilevitv2_050 mvitv2_small nest_tiny
nextvit_small nf_regnet_b0 nfnet_f0 pit_ti_224 pit_ti_distilled_224 poolformer_s12 poolformerv2_s12 pvt_v2_b0 rdnet_tiny
regnetx_002 regnety_002 repghostnet_050 repvgg_a0 repvit_m0_9 res2net50_26w_4s resmlp_12_224 resnest14d resnet18 resnetv2_50
resnext50_32x4d rexnet_100 samvit_base_patch16_224 sehalonet33ts selecsls42b semnasnet_075 sequencer2d_s seresnet18 shvit_s1
skresnet18 spnasnet_100 starnet_s1 swiftformer_xs swin_tiny_patch4_window7_224 swinv2_tiny_window8_256 swinv2_cr_tiny_224
tf_efficientnetv2_b0 tiny_vit_5m_224 tinynet_e tnt_s_patch16_224 tresnet_m twins_pcpvt_small twins_svt_small vgg11
visformer_tiny vit_tiny_patch16_224 vit_relpos_small_patch16_224 vit_small_patch16_rope_224 vit_tiny_r_s16_p8_224
vit_pwee_patch16_reg1_gap_256 vitamin_small_224 volo_d1_224 vovnet39a xception41 xcit_nano_12_p16_224
torchvision/alexnet torchvision/convnext_tiny torchvision/densenet121 torchvision/efficientnet_b0 torchvision/googlenet
torchvision/inception_v3 torchvision/maxvit_t torchvision/mnasnet0_5 torchvision/mobilenet_v2 torchvision/mobilenet_v3_small
torchvision/regnet_y_400mf torchvision/resnet18 torchvision/resnext50_32x4d torchvision/shufflenet_v2_x0_5
torchvision/squeezenet1_1 torchvision/swin_t torchvision/swin_v2_t torchvision/vgg11_bn torchvision/vit_b_16
""".split()
EXPORTERS = tuple(torch_exports.EXPORTERS)


def exports(name: str, folder: Path, exporters: list[str]) -> Iterator[Export]:
    torch.manual_seed(0)
    network, size = built(name)
    inputs = {"image": torch.randn(1, *size)}
    yield from exports_of(network, inputs, folder, name.replace("/", "_"), exporters, opset=17, outputs=("logits",))


def built(name: str) -> tuple[torch.nn.Module, tuple[int, int, int]]:
    """A network with random weights, and the size of its image."""
    if name.startswith("torchvision/"):
        kind = name.removeprefix("torchvision/")
        extra = {"init_weights": True} if kind in ("googlenet", "inception_v3") else {}
        side = 299 if kind == "inception_v3" else 224
        return torchvision.models.get_model(kind, weights=None, **extra).eval(), (3, side, side)
    network = timm.create_model(name, pretrained=False).eval()
    return network, network.default_cfg["input_size"]
