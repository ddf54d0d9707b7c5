"""Small image files for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid


def write_dicom(path: Path, pixels: np.ndarray, *, samples: int = 1, **notes: Any) -> Path:
    """A DICOM file of (H, W), (N, H, W) or, with three samples, (H, W, 3) pixels."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    is_stack = pixels.ndim - (samples > 1) == 3
    height, width = pixels.shape[1:3] if is_stack else pixels.shape[:2]
    if is_stack:
        file.NumberOfFrames = pixels.shape[0]
    file.Rows, file.Columns, file.SamplesPerPixel = height, width, samples
    file.PhotometricInterpretation = "RGB" if samples == 3 else "MONOCHROME2"
    if samples == 3:
        file.PlanarConfiguration = 0
    bits = 8 * pixels.dtype.itemsize
    file.BitsAllocated, file.BitsStored, file.HighBit = bits, bits, bits - 1
    file.PixelRepresentation = int(pixels.dtype.kind == "i")
    for key, value in notes.items():
        setattr(file, key, value)
    file.PixelData = pixels.tobytes()
    file.save_as(path, enforce_file_format=True)
    return path
