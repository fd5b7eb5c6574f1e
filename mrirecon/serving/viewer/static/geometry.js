// 4x4 affine matrices as nested arrays, rows first; points in millimetres.

export function apply(affine, point) {
  return [0, 1, 2].map((r) => affine[r][0] * point[0] + affine[r][1] * point[1] + affine[r][2] * point[2] + affine[r][3]);
}

export function inverse(affine) {
  const [a, b, c] = affine;
  const minor = (p, q, i, j) => p[i] * q[j] - p[j] * q[i];
  const cofactors = [
    [minor(b, c, 1, 2), -minor(a, c, 1, 2), minor(a, b, 1, 2)],
    [-minor(b, c, 0, 2), minor(a, c, 0, 2), -minor(a, b, 0, 2)],
    [minor(b, c, 0, 1), -minor(a, c, 0, 1), minor(a, b, 0, 1)],
  ];
  const determinant = a[0] * cofactors[0][0] + a[1] * cofactors[1][0] + a[2] * cofactors[2][0];
  const rows = cofactors.map((row) => row.map((v) => v / determinant));
  const shift = rows.map((r) => -(r[0] * affine[0][3] + r[1] * affine[1][3] + r[2] * affine[2][3]));
  return [...rows.map((r, n) => [...r, shift[n]]), [0, 0, 0, 1]];
}

// Which index axis runs along an axis of the screen space.
export function indexAxis(affine, screenAxis) {
  const sizes = [0, 1, 2].map((n) => Math.abs(affine[screenAxis][n]));
  return sizes.indexOf(Math.max(...sizes));
}

export const NORMAL = { sagittal: 0, coronal: 1, axial: 2 };
export const PLANES = ["axial", "coronal", "sagittal"]; // in niivue's order

export function flipLps(point) {
  return [-point[0], -point[1], point[2]];
}

// A round length in millimetres of at most `limit`.
export function roundLength(limit) {
  const power = 10 ** Math.floor(Math.log10(limit));
  return [5, 2, 1].map((n) => n * power).find((n) => n <= limit) ?? power;
}
