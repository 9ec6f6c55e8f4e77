"""Which optimizer steps are skipped because a number of theirs is not finite, and when that ends a training."""

from math import inf, nan

import pytest

from kdzoo.engine.training.nonfinite import DivergedError, NonFiniteSteps, Part, SkippedStep


def take(steps, number, losses, norm=1.0):
    """Let a step have parts of two rows each, with these losses."""
    steps.begin()
    for place, (kd_loss, aux_loss) in enumerate(losses):
        steps.saw([2 * place, 2 * place + 1], kd_loss, aux_loss)
    return steps.skips(number, norm)


GOOD, BAD = [(1.0, 2.0), (0.5, 0.0)], [(1.0, 2.0), (nan, 0.0)]


@pytest.mark.parametrize(
    ("losses", "norm", "examples"),
    [
        (BAD, 1.0, [2, 3]),
        ([(1.0, inf), (0.5, 0.0)], 1.0, [0, 1]),
        ([(inf, -inf), (0.5, 0.0)], 1.0, [0, 1]),
        (GOOD, nan, [0, 1, 2, 3]),
        (GOOD, inf, [0, 1, 2, 3]),
    ],
)
def test_a_step_is_skipped_whole_and_told_with_the_rows_that_did_it(losses, norm, examples):
    told = []
    steps = NonFiniteSteps(3, told.append)
    assert take(steps, 7, losses, norm)
    (skipped,) = told
    assert not take(steps, 8, GOOD[:1])  # and stays as it was told
    assert skipped.step == 7
    assert [index for part in skipped.parts for index in part.examples] == examples
    assert len(told) == 1


def test_it_is_told_in_words():
    skipped = SkippedStep(12, nan, [Part([5, 3], nan, 0.25), Part([4], 1.5, inf)])
    assert str(skipped) == (
        "step 12: kd_loss nan, aux_loss 0.25; kd_loss 1.5, aux_loss inf; gradient norm nan; examples 3, 4, 5"
    )
    many = SkippedStep(1, inf, [Part(list(range(20)), 1.0, 0.0)])
    assert str(many).endswith("examples " + ", ".join(map(str, range(16))) + " and 4 more")


class TestARow:
    def test_so_many_end_the_training_and_are_all_reported(self):
        steps = NonFiniteSteps(3)
        take(steps, 1, BAD)
        take(steps, 2, GOOD)
        take(steps, 3, BAD)
        take(steps, 4, GOOD, norm=inf)
        with pytest.raises(DivergedError) as caught:
            take(steps, 5, BAD)
        first, *others = str(caught.value).split("\n")
        assert first == "3 steps in a row were not finite"
        assert [line.split(":")[0] for line in others] == ["step 3", "step 4", "step 5"]

    def test_the_first_ends_it_where_none_is_allowed(self):
        with pytest.raises(DivergedError, match=r"^a step was not finite\nstep 1: "):
            take(NonFiniteSteps(1), 1, BAD)

    def test_it_goes_on_after_a_checkpoint(self, tmp_path):
        steps = NonFiniteSteps(3)
        take(steps, 1, BAD)
        take(steps, 2, GOOD)
        take(steps, 3, BAD)
        take(steps, 4, BAD, norm=inf)
        steps.save(tmp_path)
        later = NonFiniteSteps(3)
        later.load(tmp_path)
        assert later.in_all == 3
        with pytest.raises(DivergedError) as caught:
            take(later, 5, BAD)
        with pytest.raises(DivergedError) as of_one_start:
            take(steps, 5, BAD)
        assert str(caught.value) == str(of_one_start.value)


def test_all_processes_skip_what_one_of_them_must():
    """The other process has finite losses, and hears of the first one's."""
    told = []
    others = [Part([9], nan, 0.0)]
    steps = NonFiniteSteps(2, told.append, gather=lambda parts: [*parts, *others], any_of=lambda _: True)
    assert take(steps, 1, GOOD)
    assert [part.examples for part in told[0].parts] == [[9]]
