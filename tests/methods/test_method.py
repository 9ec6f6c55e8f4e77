"""Options as every method has them, and a method's description."""

import dataclasses
import math

import pytest
from pydantic import Field, ValidationError

from kdzoo import (
    Decoding,
    Method,
    Options,
    Source,
    StepCost,
    TeacherDecodingOptions,
    Temperature,
    TrainingDataOptions,
    WeightedOptions,
)


class Sampling(Options):
    temperature: Temperature = 1.0
    limit: float = Field(math.inf, ge=0)


class TestOptions:
    def test_an_unknown_name_is_an_error(self):
        with pytest.raises(ValidationError, match="temperatur\\n"):
            Sampling(temperatur=1)

    def test_they_do_not_change(self):
        with pytest.raises(ValidationError, match="frozen"):
            Sampling().temperature = 2

    @pytest.mark.parametrize("limit", [math.inf, 0.0, 1e300, 5e-324])
    def test_every_number_survives_being_written_as_json(self, limit):
        given = Sampling(limit=limit)
        assert Sampling.model_validate_json(given.model_dump_json()) == given
        assert Sampling.model_validate(given.model_dump(mode="json")) == given

    def test_nothing_is_asked_of_the_core_unless_a_method_says_so(self):
        options = Options()
        assert not options.needs_teacher_target
        assert not options.scores_target
        assert not options.keeps_target_lengths
        assert options.hidden_layers == options.teacher_hidden_layers == ()
        assert options.teacher_target_decoding == Decoding(temperature=1, beams=1)


class TestTemperature:
    @pytest.mark.parametrize("right", [0, 0.01, 1, 100])
    def test_it_is_0_or_from_a_hundredth_to_a_hundred(self, right):
        assert Sampling(temperature=right).temperature == right

    @pytest.mark.parametrize("wrong", [-0.01, 0.0099, 5e-324, 100.1, math.inf, math.nan])
    def test_all_else_is_refused(self, wrong):
        with pytest.raises(ValidationError, match="temperature"):
            Sampling(temperature=wrong)

    def test_what_is_too_cold_is_told_what_to_say(self):
        with pytest.raises(ValidationError, match=r"must be 0, which is greedy, or at least 0\.01"):
            Sampling(temperature=0.001)


class TestWeightedOptions:
    def test_both_terms_count_alike_unless_weights_are_given(self):
        assert (WeightedOptions().kd_weight, WeightedOptions().mle_weight) == (1, 1)
        assert WeightedOptions(kd_weight=0).mle_weight == 1

    @pytest.mark.parametrize("name", ["kd_weight", "mle_weight"])
    @pytest.mark.parametrize("wrong", [-1e-9, math.inf, math.nan, "heavy"])
    def test_a_weight_is_a_finite_number_from_0(self, name, wrong):
        with pytest.raises(ValidationError, match=name):
            WeightedOptions(**{name: wrong})


class TestTrainingDataOptions:
    def test_mle_is_left_out_unless_it_is_given_a_weight(self):
        assert (TrainingDataOptions().kd_weight, TrainingDataOptions().mle_weight) == (1, 0)
        with pytest.raises(ValidationError, match="mle_weight"):
            TrainingDataOptions(mle_weight=-1)

    @pytest.mark.parametrize(
        ("given", "keeps_lengths", "scores_target"),
        [
            ({}, True, False),
            ({"mle_weight": 1}, True, False),  # the ground truth is the training sequence
            ({"data": "student"}, False, False),
            ({"data": "student", "mle_weight": 1}, False, True),
        ],
    )
    def test_the_core_is_told_what_will_be_scored(self, given, keeps_lengths, scores_target):
        options = TrainingDataOptions(**given)
        assert options.keeps_target_lengths is keeps_lengths
        assert options.scores_target is scores_target


class TestTeacherDecodingOptions:
    @pytest.mark.parametrize(
        ("given", "decoding"),
        [
            ({}, Decoding(1.0, 1)),
            ({"teacher_temperature": 0.5}, Decoding(0.5, 1)),
            ({"teacher_decoding": "greedy", "teacher_temperature": 0.5}, Decoding(0.0, 1)),
            ({"teacher_decoding": "beam"}, Decoding(0.0, 5)),
            ({"teacher_decoding": "beam", "teacher_beams": 2}, Decoding(0.0, 2)),
            ({"teacher_beams": 2}, Decoding(1.0, 1)),
        ],
    )
    def test_a_decoding_is_chosen_by_name(self, given, decoding):
        assert TeacherDecodingOptions(**given).teacher_target_decoding == decoding

    @pytest.mark.parametrize(
        "wrong",
        [
            {"teacher_decoding": "nucleus"},
            {"teacher_beams": 1},
            {"teacher_beams": 101},
            {"teacher_temperature": -1},
        ],
    )
    def test_all_else_is_refused(self, wrong):
        with pytest.raises(ValidationError, match=next(iter(wrong))):
            TeacherDecodingOptions(**wrong)


class TestMethod:
    def test_it_uses_a_teacher_and_has_no_options_unless_it_says_otherwise(self):
        method = Method("mine", "s", "-", "-", "-", "-", StepCost())
        assert method.uses_teacher
        assert method.options is Options
        assert Options.model_fields == {}

    def test_a_step_costs_a_pass_of_each_model_unless_told_otherwise(self):
        assert dataclasses.astuple(StepCost()) == (1, 0, 1, 0)

    def test_a_description_does_not_change(self):
        with pytest.raises(dataclasses.FrozenInstanceError):
            Method("mine", "s", "-", "-", "-", "-", StepCost()).name = "yours"


class TestWhatADescriptionSays:
    def described(self, **changes):
        return dataclasses.replace(
            Method("mine", "A method of a test.", "-", "ground truth", "-", "-", StepCost()), **changes
        )

    @pytest.mark.parametrize(
        ("paper", "year", "reference"),
        [
            ("Hinton et al. 2015, Distilling (arXiv 1503.02531)", 2015, "Hinton et al. 2015"),
            ("A talk, never written (arXiv 2009.07253)", None, "A talk"),
            ("2001: A Space Odyssey, 1968", 2001, "2001"),
            ("-", None, "-"),
        ],
    )
    def test_the_year_and_a_short_name_are_those_of_the_paper(self, paper, year, reference):
        method = self.described(paper=paper)
        assert (method.publication_year, method.reference) == (year, reference)

    def test_a_year_that_is_given_counts(self):
        assert self.described(paper="2001: A Space Odyssey, 1968", year=1968).publication_year == 1968

    @pytest.mark.parametrize(
        ("cost", "sources"),
        [
            (StepCost(), (Source.GROUND_TRUTH,)),
            (StepCost(generation=1), (Source.STUDENT,)),
            (StepCost(generation=0.5), (Source.GROUND_TRUTH, Source.STUDENT)),
        ],
    )
    def test_sources_follow_from_what_the_student_generates(self, cost, sources):
        method = self.described(cost=cost)
        assert method.usual_sources == sources
        assert method.on_policy == (Source.STUDENT in sources)

    def test_and_from_what_the_teacher_has_to(self):
        class Taught(Options):
            @property
            def needs_teacher_target(self):
                return True

        assert self.described(options=Taught).usual_sources == (Source.TEACHER,)
        both = self.described(options=Taught, cost=StepCost(generation=0.5))
        assert both.usual_sources == (Source.STUDENT, Source.TEACHER)

    def test_sources_that_are_given_count(self):
        given = (Source.TEACHER, Source.IMPERFECT, Source.TEACHER)
        assert self.described(sources=given).usual_sources == (Source.IMPERFECT, Source.TEACHER)

    def test_a_description_can_be_a_key(self):
        one, same = (self.described(expected_failed_checks={"a": "b"}) for _ in range(2))
        assert {one: 1}[same] == 1
