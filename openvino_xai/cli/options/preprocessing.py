"""Options that say what a model is fed, and what is said where they say nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openvino_xai.cli.options.choices import keys, literal
from openvino_xai.cli.options.group import Group
from openvino_xai.cli.text import message, warn
from openvino_xai.errors import InputError

if TYPE_CHECKING:
    from openvino_xai.cli.options import LayerOptions
    from openvino_xai.dialects.protocol import Deployed
    from openvino_xai.errors import PreprocessingWarning
    from openvino_xai.runtime.preprocessing import Preprocessing

PREPROCESSING = "Preprocessing (by default what the model carries in model_info)"
AUTO = "auto"  # a preset that is to be found
_PRESET = (
    "What is fed: imagenet, inception, caffe, unit or raw, of which other flags change a part; or auto: what names most "
    "--examples rightly. By default what the model carries in model_info, else raw."
)
_EXAMPLES = (
    "With --preprocess auto: a folder of class folders, photos with ImageNet-style names, a .csv of path,label, or a .json, "
    "as evaluate reads them."
)


def _flag(name: str, text: str, panel: str | None = PREPROCESSING) -> Any:
    spellings = dict.fromkeys((f"--{name}", f"--{name.replace('_', '-')}"))
    return typer.Option(*spellings, help=text, rich_help_panel=panel)


@dataclass(frozen=True)
class PreprocessingOptions(Group):
    """What a model is fed."""

    preprocess: Annotated[str | None, _flag("preprocess", _PRESET, None), keys("PRESETS", "runtime.inputs.presets", AUTO)] = (
        None
    )
    examples: Annotated[str | None, _flag("examples", _EXAMPLES)] = None
    mean_values: Annotated[str | None, _flag("mean_values", "Subtracted from each channel, as 123.7,116.3,103.5.")] = None
    scale_values: Annotated[str | None, _flag("scale_values", "Each channel is divided by these.")] = None
    reverse_input_channels: Annotated[str | None, _flag("reverse_input_channels", "yes feeds RGB, no BGR.")] = None
    resize_type: Annotated[
        str | None,
        _flag("resize_type", "standard, crop, fit_to_window(_letterbox)."),
        literal("Resize", "runtime.preprocessing"),
    ] = None
    pad_value: Annotated[str | None, _flag("pad_value", "Of the pixels around a photo that fits a window, 0 to 255.")] = None
    layout: Annotated[
        str | None, _flag("layout", "NCHW or NHWC, of the image."), literal("Layout", "runtime.preprocessing")
    ] = None
    input_size: Annotated[str | None, _flag("input_size", "HxW, for models that take any size.")] = None

    def check(self) -> None:
        """Raise InputError for values that suit neither a grey photo nor one with colours."""
        from openvino_xai.runtime.inputs.presets import PRESET, updated_by
        from openvino_xai.runtime.preprocessing import Preprocessing

        values = {name: value for name, value in self.values().items() if (name, value) != (PRESET, AUTO)}
        with suppress(InputError):
            updated_by(Preprocessing((1, 1), channels=1), values)
            return
        updated_by(Preprocessing((1, 1)), values)

    def values(self) -> dict[str, object]:
        """What is said, as `Network.configure` takes it."""
        from openvino_xai.runtime.inputs.presets import PRESET

        words = {field.name: getattr(self, field.name) for field in fields(PreprocessingOptions) if field.name != "examples"}
        preset = words.pop("preprocess")
        return {name: value for name, value in {PRESET: preset, **words}.items() if value is not None}


def tell_doubts(doubts: Iterable[PreprocessingWarning], *, model: object) -> None:
    """What is doubtful about what a model is fed, a line each."""
    for doubt in doubts:
        warn(f"{model}: {message(doubt)}")


def tell_answers(lines: Iterable[Mapping[str, Any]], model: str) -> None:
    """What is doubtful about explanations of classes, as JSON holds them; boxes, regions and vectors are passed over."""
    best = [line["predictions"][0] for line in lines if line.get("predictions")]
    tell_counted([(item["label"], item["probability"]) for item in best if "probability" in item], model)


def tell_counted(answers: Iterable[tuple[str, float]], model: str) -> None:
    """What is doubtful about the predicted classes of images and their probabilities."""
    from openvino_xai.runtime.inputs.doubts import Tally

    tally = Tally()
    for label, probability in answers:
        tally.count(label, probability)
    tell_doubts(tally.doubts(), model=Path(model).name)


def to_store(options: PreprocessingOptions, model: str, layer: LayerOptions, labels: Path | None) -> Preprocessing | None:
    """What is to be stored in a model, None where nothing is said. Raises InputError where it is said in part."""
    from openvino_xai.cli.options import read_labels
    from openvino_xai.cli.preprocessing.ranking import resolved
    from openvino_xai.locate.tasks.opening import opened
    from openvino_xai.runtime.inputs.doubts import HELP

    options = resolved(options, model, layer.where, None if labels is None else read_labels(labels))
    if not options.values().keys() - {"layout"}:
        return None
    fed = fed_by(options, opened(model, options.layout, layer.image_input), layer.image_input)
    if fed.unsaid:
        missing = " and ".join(f"the {part}" for part in fed.unsaid)
        raise InputError(f"what is stored is believed, and nobody says {missing}: say a preset, or all parts", options=HELP)
    return fed


def fed_by(options: PreprocessingOptions, deployed: Deployed, image_input: str | None) -> Preprocessing:
    """What a model is fed where nobody but it and these options says anything. Raises an OvxaiError."""
    from openvino_xai.locate.image import find_image
    from openvino_xai.record.reading import record_of
    from openvino_xai.runtime.inputs.own import own_preprocessing
    from openvino_xai.runtime.inputs.presets import updated_by

    image, place = find_image(deployed.graph, record_of(deployed.graph, deployed.info).get("image", image_input))
    base = own_preprocessing(image, deployed.info("model_info"), channels_first=place.cells == (2, 3))
    return updated_by(base, options.values())
