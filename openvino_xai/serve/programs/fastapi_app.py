"""Explains photos by FastAPI: `uvicorn app:app --host 127.0.0.1`, and /docs in a browser tries it."""

from pathlib import Path

import cv2
from fastapi import FastAPI, HTTPException, Response, UploadFile

import openvino_xai as xai

app = FastAPI(title="ovxai")
network = xai.load(Path(__file__).with_name("model.xml"))
LARGEST = 50_000_000  # bytes of a photo


def explanation_of(photo, targets):
    if (photo.size or 0) > LARGEST:
        raise HTTPException(413, f"a photo of at most {LARGEST} bytes is expected")
    try:
        return network.explain(photo.file.read(), targets=targets)
    except xai.OvxaiError as error:
        raise HTTPException(422, str(error)) from error


@app.post("/predict", summary="What the model sees in a photo, as JSON")
def predict(photo: UploadFile):
    return explanation_of(photo, None).to_dict()


@app.post("/explain", summary="The photo with the map of a class over it, as PNG")
def explain(photo: UploadFile, targets: str | None = None):
    picture = explanation_of(photo, targets).drawn(xai.Style())
    return Response(cv2.imencode(".png", picture[..., ::-1])[1].tobytes(), media_type="image/png")
