"""`python -m openvino_xai` is `ovxai`."""

from openvino_xai.cli.start import start

if __name__ == "__main__":
    start()
