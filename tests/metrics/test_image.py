"""Against fastMRI's own evaluation and scikit-image."""

import numpy as np
import pytest

from mrirecon.errors import ShapeError
from mrirecon.metrics.image import nmse, psnr, ssim


@pytest.fixture
def volumes() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    reference = np.abs(rng.standard_normal((3, 24, 20))).cumsum(axis=1).astype(np.float32)
    return reference, np.abs(reference + 0.3 * rng.standard_normal(reference.shape)).astype(np.float32)


def test_equal_to_fastmri(volumes: tuple[np.ndarray, np.ndarray]) -> None:
    evaluate = pytest.importorskip("fastmri.evaluate")
    for ours, theirs in ((nmse, evaluate.nmse), (psnr, evaluate.psnr), (ssim, evaluate.ssim)):
        assert ours(*volumes) == pytest.approx(np.asarray(theirs(*volumes)).item(), rel=1e-6)


def test_ssim_equal_to_scikit_image(volumes: tuple[np.ndarray, np.ndarray]) -> None:
    metrics = pytest.importorskip("skimage.metrics")
    reference, image = volumes
    expected = np.mean(
        [metrics.structural_similarity(a, b, data_range=7.0) for a, b in zip(reference, image, strict=True)]
    )
    assert ssim(reference, image, data_range=7.0) == pytest.approx(expected, rel=1e-5)


def test_perfect_images(volumes: tuple[np.ndarray, np.ndarray]) -> None:
    reference = volumes[0]
    assert (nmse(reference, reference), psnr(reference, reference)) == (0.0, float("inf"))
    assert ssim(reference, reference) == pytest.approx(1.0)


def test_shapes_must_agree(volumes: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(ShapeError, match="same shape"):
        psnr(volumes[0], volumes[1][:2])
    with pytest.raises(ShapeError, match="7 x 7"):
        ssim(volumes[0][:, :5], volumes[1][:, :5])
