"""FKD: forward-KL distillation on the ground truth (Hinton et al. 2015, arXiv 1503.02531), plus MLE."""

from kdzoo import divergences, ground_truth_kd

register_method, divergence, aux_loss = ground_truth_kd(
    divergences.forward_kl,
    name="fkd",
    summary="The forward KL divergence from the teacher on the ground truth, plus MLE.",
    paper="Hinton et al. 2015, Distilling the Knowledge in a Neural Network (arXiv 1503.02531)",
    divergence="KL(p‖q)",
)
