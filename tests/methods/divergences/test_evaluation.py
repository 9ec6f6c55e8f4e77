"""A formula is given logarithms of probabilities, and its gradient is the divergence's."""

import torch

from kdzoo.methods.divergences.evaluation import evaluate


def test_a_formula_of_log_probabilities_becomes_a_function_of_logits():
    def cross_entropy(log_p, log_q):
        p = log_p.exp()
        return -(p * log_q).sum(-1), log_q.exp() - p

    student, teacher = torch.randn(2, 3, 5).bfloat16()
    leaf = student.clone().requires_grad_()
    values = evaluate(cross_entropy, leaf, teacher)
    values.sum().backward()
    p, log_q = teacher.float().softmax(-1), student.float().log_softmax(-1)
    torch.testing.assert_close(values, -(p * log_q).sum(-1))
    assert leaf.grad.dtype == torch.bfloat16
    torch.testing.assert_close(leaf.grad.float(), log_q.exp() - p, rtol=2**-7, atol=1e-3)
