"""Validation: figures against the metric itself, the module left as it was, and a sheet that shows the images."""

import numpy as np
import pytest
import torch
from PIL import Image

from mrirecon.errors import ConfigError
from mrirecon.io.raster.sheet import write_picture_rows
from mrirecon.metrics.image import psnr
from mrirecon.training.restored import Restored, least_squares
from mrirecon.training.validation import Validator, fixed_batches
from tests.training.problems import NoisyWaves, small_network


def halve(module, batch, levels, generator):
    """Adds what the generator and the levels say, so that both matter."""
    drawn = torch.randn(batch.image.shape, generator=generator)
    return Restored(batch.data, 0.5 * batch.data + 1e-3 * float(levels[0]) * drawn)


def validator(n=2):
    return Validator(fixed_batches(NoisyWaves(), n), halve, torch.tensor([10.0]))


def test_figures_are_those_of_the_metric():
    module = small_network()
    module.train()
    figures = validator()(module)
    assert module.training
    assert figures == validator()(module)
    batches = fixed_batches(NoisyWaves(), 2)
    given, found = [], []
    for number, batch in enumerate(batches):
        output = halve(module, batch, [10.0], torch.Generator().manual_seed(number)).output
        for reference, before, after in zip(batch.image[:, 0], batch.data[:, 0], output[:, 0], strict=True):
            given.append(psnr(reference.numpy(), before.numpy(), data_range=2.0))
            found.append(psnr(reference.numpy(), after.numpy(), data_range=2.0))
    assert figures["psnr_db"] == pytest.approx(np.mean(found))
    assert figures["input_psnr_db"] == pytest.approx(np.mean(given))
    assert figures["worst_psnr_db"] == pytest.approx(min(found))


def test_the_sheet_shows_reference_input_output_and_error(tmp_path):
    batch = fixed_batches(NoisyWaves(), 1)[0]
    validator(1)(small_network(), tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png")).astype(float)
    reference = batch.image[0, 0].numpy()
    low, high = reference.min(), reference.max()
    tile = sheet[20:28, 4:12]
    np.testing.assert_allclose(tile, 255 * (reference - low) / (high - low), atol=0.51)
    second = sheet[20:28, 16:24]
    np.testing.assert_allclose(second, 255 * np.clip((batch.data[0, 0].numpy() - low) / (high - low), 0, 1), atol=0.51)


def test_least_squares_shrinks_denoising_data():
    batch = NoisyWaves().batch(0)
    torch.testing.assert_close(least_squares(batch), batch.data / 1.01)


def test_rows_must_match_their_titles(tmp_path):
    with pytest.raises(ConfigError, match="rows of 2 pictures"):
        write_picture_rows(tmp_path / "x.png", [[np.zeros((4, 4))]], titles=("a", "b"), labels=("c",))
    assert not (tmp_path / "x.png").exists()
