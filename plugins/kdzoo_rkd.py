"""RKD: reverse-KL distillation on the ground truth, per token (Gu et al. 2023, MiniLLM, arXiv 2306.08543), plus MLE."""

from kdzoo import divergences, ground_truth_kd

register_method, divergence, aux_loss = ground_truth_kd(
    divergences.reverse_kl,
    name="rkd",
    summary="The reverse KL divergence from the teacher on the ground truth, plus MLE.",
    paper="Gu et al. 2023, MiniLLM (arXiv 2306.08543), token-wise",
    divergence="KL(q‖p)",
)
