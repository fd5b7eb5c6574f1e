"""The distribution of features: against scikit-learn, on known normal distributions, and what it refuses."""

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf

from mrirecon.errors import ConfigError
from mrirecon.metrics.feature_model import FeatureModel, shrunk_covariance
from mrirecon.records import from_mapping, to_mapping

MIX = np.array([[1.0, 0.5, 0.0], [0.0, 2.0, 0.3], [0.0, 0.0, 0.1]])
SLOPES = np.array([[1.0, 2.0], [0.0, -1.0], [5.0, 0.3]])


def drawn(n, seed):
    rng = np.random.default_rng(seed)
    given = np.stack([np.ones(n), rng.uniform(-1, 1, n)], axis=1)
    return given @ SLOPES.T + rng.standard_normal((n, 3)) @ MIX, given


@pytest.mark.parametrize("n", [8, 40, 400])
def test_shrinkage_is_that_of_an_independent_implementation(n):
    values = drawn(n, 3)[0]
    values = values - values.mean(axis=0)
    assert np.allclose(shrunk_covariance(values), ledoit_wolf(values, assume_centered=True)[0], rtol=1e-9)


def test_the_model_recovers_a_normal_distribution_and_its_distances():
    model = FeatureModel.fit(*drawn(20000, 1))
    assert np.allclose(model.coefficients, SLOPES, atol=0.05)
    whitening = np.array(model.whitening)
    assert np.allclose(np.linalg.inv(whitening.T @ whitening), MIX.T @ MIX, atol=0.08)
    features, given = drawn(20000, 2)
    found = model.distance(features, given)
    assert found.mean() == pytest.approx(1.0, rel=0.02)
    exact = features - given @ SLOPES.T
    exact = np.einsum("ij,jk,ik->i", exact, np.linalg.inv(MIX.T @ MIX), exact) / 3
    assert np.corrcoef(found, exact)[0, 1] > 0.999


def test_the_covariates_matter():
    features, given = drawn(2000, 1)
    model = FeatureModel.fit(features, given)
    wrong = given.copy()
    wrong[:, 1] += 2.0
    assert model.distance(features, wrong).mean() > 3 * model.distance(features, given).mean()


def test_it_survives_a_card_and_refuses_what_does_not_fit():
    features, given = drawn(50, 1)
    model = FeatureModel.fit(features, given)
    assert from_mapping(FeatureModel, to_mapping(model)) == model
    assert model.examples == 50
    with pytest.raises(ConfigError, match="3 features and 2 covariates, got 2 and 2"):
        model.distance(features[:, :2], given)
    with pytest.raises(ConfigError, match="too few"):
        FeatureModel.fit(features[:3], given[:3])
    with pytest.raises(ConfigError, match="same in all examples"):
        FeatureModel.fit(np.ones((20, 2)), given[:20])
    with pytest.raises(ConfigError, match="2 x 2"):
        FeatureModel(((1.0,), (1.0,)), ((1.0,),))
