"""The errors of a student at every step, worked out token by token in float64 with ordinary forward passes."""

import copy
import math
from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate

import torch

from kdzoo.engine.measure.step_errors import measure_errors
from kdzoo.engine.prompts.batches import EncodedExample
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.methods.randomness import StepGenerator

END = 2
LIMIT = 6
SEED = 5


class Reference:
    """A student and a teacher in float64: next-token distributions by one whole forward pass each."""

    def __init__(self, student, teacher, vocabulary):
        self.models = {
            "student": copy.deepcopy(student).double().eval(),
            "teacher": copy.deepcopy(teacher).double().eval(),
        }
        self.vocabulary = vocabulary
        self.distribution = lru_cache(maxsize=None)(self._distribution)

    def _distribution(self, role, tokens):
        with torch.no_grad():
            logits = self.models[role](input_ids=torch.tensor([tokens])).logits[0, -1, : self.vocabulary]
        return logits.softmax(-1).tolist()

    def kl(self, tokens):
        p, q = self.distribution("teacher", tokens), self.distribution("student", tokens)
        return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))

    def sample(self, role, prompt, uniform):
        """One sequence up to its end, each token where its number falls among the cumulated probabilities."""
        tokens = []
        for number in uniform:
            cumulative = list(accumulate(self.distribution(role, (*prompt, *tokens))))
            tokens.append(bisect_right(cumulative, float(number) * cumulative[-1]))
            if tokens[-1] == END:
                break
        return tokens

    def errors(self, prompt, sequence):
        """The KL at each of the steps that predict the sequence's tokens."""
        return [self.kl((*prompt, *sequence[:t])) for t in range(len(sequence))]

    def expected_error(self, role, prompt, limit):
        """The same in expectation, over all sequences that there are, prefixes by the role's probabilities."""

        def after(prefix, steps):
            tokens = (*prompt, *prefix)
            ahead = 0.0
            if steps > 1:
                for token, probability in enumerate(self.distribution(role, tokens)):
                    ahead += probability * after((*prefix, token), steps - 1) if token != END else 0.0
            return self.kl(tokens) + ahead

        return after((), limit)


def examples_of(prompts, targets=None):
    """Examples whose indices are not their places."""
    targets = targets or [[] for _ in prompts]
    return [
        EncodedExample(3 * i + 10, list(prompt), list(target))
        for i, (prompt, target) in enumerate(zip(prompts, targets, strict=True))
    ]


def prompt_errors(student, teacher, examples, limit=LIMIT, **settings):
    """What is measured, a batch of eight at a time."""
    settings = {"prefix": "teacher", "samples": 1, "batch_size": 8, "seed": SEED, **settings}
    errors = list(measure_errors(student, teacher, examples, SamplingLimits(limit, (END,)), **settings))
    assert sorted(error.index for error in errors) == sorted(example.index for example in examples)
    return errors


def by_brute_force(reference, examples, samples=1, limit=LIMIT, seed=SEED, prefix="teacher"):
    """For each example the lists of KLs of its sequences: those of the student and those of the oracle."""
    expected = {}
    for example in examples:
        source = StepGenerator(seed, 0, [example.index])
        numbers = [source.per_row(limit)[0] for _ in range(samples)]
        own, oracle = (
            [
                reference.errors(example.prompt, reference.sample(role, example.prompt, uniform))
                for uniform in numbers
            ]
            for role in ("student", "teacher")
        )
        if prefix == "gold":
            oracle = [reference.errors(example.prompt, example.target[:limit])]
        expected[example.index] = (own, oracle)
    return expected
