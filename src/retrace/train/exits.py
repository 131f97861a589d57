"""How a process leaves that wants to be started again."""

EXIT_RESUME = 75
"""Exit code of a training that is not over and wants to be started again (EX_TEMPFAIL)."""


class Interrupted(SystemExit):
    """Raised where the state of training is whole; unhandled, it ends the process with EXIT_RESUME."""

    def __init__(self, reason: str) -> None:
        super().__init__(EXIT_RESUME)
        self.reason = reason


class Abandoned(Interrupted):
    """Raised where it is not: the ranks are out of step, and the checkpoint before is what counts."""
