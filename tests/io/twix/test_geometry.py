import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mrirecon.errors import GeometryError
from mrirecon.io.twix.geometry import main_orientation, rotation_from_normal, rotation_from_quaternion, spatial_order

LEFT, POSTERIOR, HEAD = np.eye(3)


@pytest.mark.parametrize(
    ("normal", "phase", "read"),
    [(HEAD, POSTERIOR, -LEFT), (POSTERIOR, LEFT, -HEAD), (LEFT, POSTERIOR, HEAD)],
    ids=["transversal", "coronal", "sagittal"],
)
def test_standard_orientations_without_rotation(normal, phase, read):
    rotation = rotation_from_normal(normal)
    assert np.allclose(rotation, np.stack([phase, read, normal], axis=1))


def test_quarter_turn_swaps_phase_and_read():
    turned = rotation_from_normal(HEAD, np.pi / 2)
    assert np.allclose(turned[:, 0], LEFT)
    assert np.allclose(turned[:, 1], POSTERIOR)


@pytest.mark.parametrize("seed", range(20))
def test_directions_are_right_handed_and_orthonormal(seed):
    rng = np.random.default_rng(seed)
    normal = rng.standard_normal(3)
    normal /= np.linalg.norm(normal)
    rotation = rotation_from_normal(normal, rng.uniform(-np.pi, np.pi))
    assert np.allclose(rotation.T @ rotation, np.eye(3), atol=1e-12)
    assert np.allclose(np.cross(rotation[:, 0], rotation[:, 1]), normal)


def test_in_plane_rotation_turns_about_the_normal():
    normal, angle = np.array([0.3, -0.5, np.sqrt(1 - 0.34)]), 0.7
    plain, turned = rotation_from_normal(normal), rotation_from_normal(normal, angle)
    by_scipy = Rotation.from_rotvec(-angle * normal).as_matrix()
    assert np.allclose(turned, by_scipy @ plain)


@pytest.mark.parametrize("seed", range(10))
def test_quaternion_against_scipy(seed):
    rotation = Rotation.random(random_state=seed)
    x, y, z, w = rotation.as_quat()
    assert np.allclose(rotation_from_quaternion([w, x, y, z]), rotation.as_matrix(), atol=1e-12)


def test_ties_prefer_transversal_then_coronal():
    a = np.sqrt(1 / 3)
    assert main_orientation([a, a, a]) == "transversal"
    assert main_orientation([np.sqrt(0.5), np.sqrt(0.5), 0]) == "coronal"
    assert main_orientation([0.8, 0.6, 0]) == "sagittal"


@pytest.mark.parametrize("bad", [[0, 0, 0, 0], [1, 1, 0, 0], [1, 0, 0]])
def test_quaternion_must_be_a_unit_quaternion(bad):
    with pytest.raises(GeometryError, match="unit length"):
        rotation_from_quaternion(bad)


def test_normal_must_be_a_unit_vector():
    with pytest.raises(GeometryError, match="unit length"):
        rotation_from_normal((0, 0, 2))


def test_spatial_order_sorts_interleaved_slices_along_the_normal():
    normal = np.array([0.6, 0.0, 0.8])
    steps = np.array([6.0, 0.0, 9.0, 3.0])
    order, step = spatial_order(np.outer(steps, normal) + np.array([5.0, 6.0, 7.0]), normal, thickness_mm=2.0)
    assert order == [1, 3, 0, 2]
    assert step == pytest.approx(3.0)


def test_one_slice_has_its_thickness_as_step():
    assert spatial_order(np.zeros((1, 3)), HEAD, thickness_mm=4.0) == ([0], 4.0)


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        ([[0, 0, 0], [0, 0, 3], [0, 0, 7]], "unevenly"),
        ([[0, 0, 0], [0, 0, 3], [0, 0, 3]], "same position"),
        ([[0, 0, 0], [1, 0, 3], [0, 0, 6]], "shifted"),
    ],
)
def test_a_stack_that_is_no_volume_is_refused(positions, message):
    with pytest.raises(GeometryError, match=message):
        spatial_order(np.array(positions, dtype=float), HEAD, thickness_mm=3.0)
