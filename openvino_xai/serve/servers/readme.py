"""The README beside what an export writes: what is answered, what starts it, and how a client asks."""

from __future__ import annotations

from pathlib import Path

from openvino_xai.serve.endpoint import Endpoint
from openvino_xai.serve.literals import code_block, code_span


def write_readme(folder: Path, endpoint: Endpoint, *, start: str, client: str, about: str = "") -> None:
    """Write `README.md`: `start` is typed in a shell, `client` is Python, `about` is Markdown, ahead of the outputs."""
    (folder / "README.md").write_text(readme(endpoint, start=start, client=client, about=about), encoding="utf-8")


def readme(endpoint: Endpoint, *, start: str, client: str, about: str = "") -> str:
    """The text of `README.md`."""
    outputs = "\n".join(f"- {code_span(t.name)} {t.dtype} {list(t.shape)}" for t in endpoint.outputs)
    requests = "Requests stay what they were." if endpoint.gate is None else "Requests have one input more."
    return page(
        endpoint,
        f"""{about}Outputs, the old ones first and as they were:

{outputs}

A response for one image grows by {endpoint.grows_by} bytes. {requests} {endpoint.checked}.
""",
        start=start,
        client=client,
    )


def page(endpoint: Endpoint, text: str, *, start: str, client: str) -> str:
    """A README with a text of its own ahead of how the endpoint is served and asked."""
    warnings = "".join(f"Note: {text}.\n\n" for text in endpoint.warnings)
    return f"""# {endpoint.name}

{text}
{warnings}Serve it, on this machine alone:

{code_block(start)}
Ask it:

{code_block(client, "python")}"""
