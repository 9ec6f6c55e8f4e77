"""What a sweep would do, without doing it: ``kdzoo run --dry-run``."""

from __future__ import annotations

from collections import Counter
from io import StringIO

from rich.console import Console

from kdzoo.errors import UserError
from kdzoo.recipe import Recipe
from kdzoo.runs.dry_run import print_dry_run
from kdzoo.runs.sweep import Plan
from kdzoo.tasks.load import DataReader


def print_sweep_dry_run(plan: Plan, console: Console, data: DataReader, *, fresh: bool = False) -> None:
    """Print the members' values and runs, what they share, and all of the first; check the others too. Writes nothing.

    Of members that differ in nothing that the checks look at, the first stands for all.

    Raises:
        UserError: something is missing or does not fit.
        RunError: a run's directory could not be written.
    """

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    members = [(planned.member.label, planned) for planned in plan.members]
    width = max(len(label) for label, _ in members)
    say(f"sweep    {', '.join(plan.keys)}: {len(members)} members")
    say(f"folder   {plan.folder}")
    for label, planned in members:
        say(f"   {label:{width}}  {planned.run}")
    say("\nstages that members have in common are done once:")
    for text in _sharing(plan):
        say(f"   {text}")
    first, *others = plan.runs
    say(f"\n{first.member.label}:\n")
    print_dry_run(first.member.recipe, plan.out, console, data, fresh=fresh)
    checked = {_looked_at(first.member.recipe)}
    for planned in others:
        if (looked_at := _looked_at(planned.member.recipe)) in checked:
            continue
        checked.add(looked_at)
        try:
            # what is printed of them nobody reads: memory, which takes a while to estimate, is left out
            print_dry_run(
                planned.member.recipe, plan.out, Console(file=StringIO()), data, fresh=fresh, estimates=False
            )
        except UserError as error:
            raise type(error)(f"{planned.member.label}: {error}") from error


def _looked_at(recipe: Recipe) -> str:
    """What of a recipe its checks look at, once it is read: all but seeds, and of methods' options a privileged prompt's."""
    described = recipe.model_dump(mode="json", exclude={"seed", "student_seed"})
    for stage, of_stage in zip(described["stages"], recipe.stages, strict=True):
        if of_stage.role is not None:
            del stage["seed"]
            options = of_stage.method_options()
            stage["options"] = [
                options.privileged_prompt,
                options.teacher_is_privileged,
                options.teacher_model,
            ]
    return repr(described)


def _sharing(plan: Plan) -> list[str]:
    """How often each stage is done."""
    names = list(dict.fromkeys(name for planned in plan.members for name in planned.prints))
    lines = []
    for name in names:
        prints = Counter(planned.prints[name] for planned in plan.members if name in planned.prints)
        times = "once" if len(prints) == 1 else f"{len(prints)} times"
        lines.append(f"{name}: {times} for {prints.total()} members")
    return lines
