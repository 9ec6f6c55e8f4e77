"""For tests of divergences: logits to try them on, and a divergence's value with its gradient."""

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst


def logit_pairs(low, high):
    """Student's and teacher's logits of a few tokens, float32 arrays [N, V]."""
    shapes = st.tuples(st.integers(1, 4), st.integers(2, 9))
    elements = st.floats(low, high, width=32)
    return shapes.flatmap(
        lambda shape: st.tuples(*[npst.arrays(np.float32, shape, elements=elements) for _ in range(2)])
    )


def value_and_gradient(divergence, student, teacher, weights=None):
    """The values [N], and the gradient of their weighted sum with respect to the student's logits."""
    student = student.clone().requires_grad_()
    values = divergence(student, teacher)
    total = (values if weights is None else values * weights).sum()
    (gradient,) = torch.autograd.grad(total, student)
    return values.detach(), gradient
