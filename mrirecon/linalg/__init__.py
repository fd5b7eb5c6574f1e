"""Tensors as vectors: spaces, Fourier transforms, conjugate gradients. Knows nothing about imaging."""
