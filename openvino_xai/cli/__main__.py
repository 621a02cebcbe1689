"""`python -m openvino_xai.cli` is `ovxai`."""

from openvino_xai.cli import main

if __name__ == "__main__":
    main()
