"""What malformed input ends in: an answer, an error of ours in words, or one of another library."""

import warnings

from trajinfer._core.errors import TrajinferError

_SHORTEST = 25  # letters of an error that still says what was expected and what to do


class Outcomes:
    """Counts of what doors made of malformed input."""

    def __init__(self):
        self.ours, self.foreign, self.tried = [], [], 0

    def read(self, read, names):
        """Call a door with input in which these mistakes were made."""
        self.tried += 1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read()
        except TrajinferError as error:
            self.ours.append(str(error))
        except Exception as error:  # noqa: BLE001  which is what the tests look for
            self.foreign.append(f"{names}: {type(error).__name__}: {error}")

    def check(self, n):
        """No error of another library, and all of ours in words; n mistakes are mistakes."""
        assert self.foreign == []
        assert [message for message in self.ours if len(message) < _SHORTEST] == []
        assert len(self.ours) > n / 5
