"""`kdzoo keys` prints the reference of recipes, and needs no torch for it."""

import subprocess
import sys

from click.testing import CliRunner

from kdzoo.commands.keys import command
from kdzoo.recipe.reference import reference


def test_it_prints_every_key():
    result = CliRunner().invoke(command)
    assert result.exit_code == 0
    assert result.output == reference()


def test_torch_is_not_imported():
    code = (
        "import sys; from kdzoo.recipe.reference import reference; reference(); print('torch' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed == "False\n"
