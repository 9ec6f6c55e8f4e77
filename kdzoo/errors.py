"""The error that is meant for the person who caused it."""


class UserError(Exception):
    """A mistake in what the user gave us: a recipe, a file, an option.

    The message says what is wrong, where (file, line, key) and what to do about it. The command line prints it
    without a traceback and exits with ``exit_code``.
    """

    exit_code = 2


class RunError(UserError):
    """Work that was rightly asked for and failed: a full disk, a gold query that does not run. Exit code 1."""

    exit_code = 1
