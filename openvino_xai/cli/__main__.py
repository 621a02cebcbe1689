"""`python -m openvino_xai.cli` is `ovxai`."""

from openvino_xai.cli.guard import guarded

if __name__ == "__main__":
    guarded()
