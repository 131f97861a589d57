"""The one exception for what a user can cause and mend."""


class UserError(Exception):
    """A mistake in what retrace was given. Its message says what, where and what was expected."""
