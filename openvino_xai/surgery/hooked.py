"""What inserting a hook returns: a model that can be asked, and written."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from openvino_xai.arguments import FLAG, PATH, takes
from openvino_xai.choices import quoted
from openvino_xai.dialects.protocol import Deployed
from openvino_xai.errors import InputError
from openvino_xai.files.paths import exists
from openvino_xai.files.writing import check_output, written_whole
from openvino_xai.surgery.layer import Layer
from openvino_xai.tables import html_table
from openvino_xai.verify.hook import Verified, verify_file


class Hooked:
    """A model that returns maps beside its outputs.

    `records` and `layers` tell of its hook, of each head in turn where it explains several; the costs and the memory are of all
    of them together.
    """

    def __init__(
        self, deployed: Deployed, records: Sequence[Mapping[str, str]], layers: Sequence[Layer], verified: Verified | None
    ) -> None:
        self._deployed = deployed
        self.records = [dict(record) for record in records]
        self.layers = list(layers)
        self.verified = verified

    @property
    def record(self) -> dict[str, str]:
        """What the model tells of its hook, of the first head where there are several."""
        return self.records[0]

    @property
    def layer(self) -> Layer:
        """The layer where the hook goes, that of the first head where there are several."""
        return self.layers[0]

    def __repr__(self) -> str:
        """What hook it carries, where, and at what cost."""
        return f"<{type(self).__name__} {self._deployed.suffix}: {'; '.join(self._sentences)}>"

    def _repr_html_(self) -> str:
        """What its record tells, as a table, which notebooks show."""
        names = list(dict.fromkeys(name for record in self.records for name in record))
        heads = ["", *(record.get("scores", "") for record in self.records)]
        return html_table(heads, [(name, *(record.get(name, "") for record in self.records)) for name in names])

    @property
    def _sentences(self) -> list[str]:
        hooks = [
            f"{record.get('method')} at {quoted(layer.name)} of {quoted(record.get('scores'))}"
            for record, layer in zip(self.records, self.layers, strict=True)
        ]
        cost = self.layer.cost
        state = "not verified" if self.verified is None else f"verified in {' and '.join(self.verified.runtimes)}"
        return [", ".join(hooks), *([] if cost is None else [f"{cost:.2f} times the operations"]), state]

    @property
    def deployed(self) -> Deployed:
        """The model in its dialect."""
        return self._deployed

    @property
    def model(self) -> Any:
        """The model as an object, of the kind that came in: `ov.Model` or `onnx.ModelProto`."""
        return self._deployed.object()

    @takes(path=PATH, force=FLAG)
    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> Path:
        """Write the model, whole or not at all, and return its path.

        Raises InputError where the path has another suffix than the model's kind or, without `force`, exists, and OutputError
        where it cannot be written.
        """
        target = Path(path)
        if target.suffix != self._deployed.suffix:
            raise InputError(f"{target} does not end in {self._deployed.suffix}, which this model is written as")
        check_output(target)
        if exists(target) and not force:
            raise InputError(f"{target} exists; choose another output or overwrite it with force", options=("force",))
        with written_whole(target) as temporary:
            self._deployed.save(temporary)
            if self.verified is not None:
                verify_file(temporary, self.verified)
        return target
