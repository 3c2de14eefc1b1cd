"""Making checks one after the other: each has its end, and none hides another one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from paperfleet.diagnosis import CheckResult, Verdict, not_tried, of_error, unknown
from paperfleet.errors import PaperfleetError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from paperfleet.diagnosis import Check

ASK_FOR_IT = "it writes: ask for it with --write-probe"
_BAD = {Verdict.PROBLEM, Verdict.UNKNOWN}


class Examined(NamedTuple):
    """A result, with what it is about: the area, such as ``target``, and the name of the check."""

    area: str
    check: str
    result: CheckResult


class Examination:
    """Makes checks of several areas, in the order in which they are given.

    ``writes`` makes those too that write. Each runs in a thread of its own: one that does not end
    in time is left behind (``left``), and the others go on without it.
    """

    def __init__(self, *, writes: bool = False) -> None:
        self._writes = writes
        self._good: dict[tuple[str, str], bool] = {}
        self.left: list[str] = []

    def run(self, area: str, checks: Iterable[Check]) -> Iterator[Examined]:
        """Make the checks of an area; yield at least one result of each."""
        for check in checks:
            reason = self._reason_against(area, check)
            results = [not_tried(reason)] if reason else self._within(area, check)
            bad = any(one.verdict in _BAD for one in results)
            self._good[area, check.name] = not (reason or bad)
            for result in results:
                yield Examined(area, check.name, result)

    def _reason_against(self, area: str, check: Check) -> str:
        """Return why a check is not made, '' when it is."""
        if check.writes and not self._writes:
            return ASK_FOR_IT
        missing = [name for name in check.needs if not self._good.get((area, name))]
        return f"first this has to be right: {', '.join(missing)}" if missing else ""

    def _within(self, area: str, check: Check) -> list[CheckResult]:
        look = _Look(check)
        thread = threading.Thread(target=look.run, name=f"doctor {check.name}", daemon=True)
        thread.start()
        thread.join(check.seconds)
        results = list(look.results)
        if thread.is_alive():
            self.left.append(f"{area}: {check.name}")
            results.append(unknown(f"it had not ended after {check.seconds:g} s"))
        return results or [unknown("the check told nothing")]


class _Look:
    """One check in a thread; ``results`` grow while it runs."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self.results: list[CheckResult] = []

    def run(self) -> None:
        """Make the check; whatever is raised is a result too."""
        try:
            for result in self._check.look():
                self.results.append(result)
        except PaperfleetError as error:
            self.results.append(of_error(error))
        except OSError as error:
            reason = error.strerror or type(error).__name__
            self.results.append(unknown(f"it could not be looked at: {reason}"))
        except Exception as error:  # noqa: BLE001  # told as what it is; the other checks go on
            self.results.append(unknown(f"the check itself failed: {_place_of(error)}"))


def _place_of(error: BaseException) -> str:
    """Return the kind of an error and where it was raised; its text may hold anything."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f", {trace.tb_frame.f_code.co_name}:{trace.tb_lineno}"
    return f"{type(error).__name__}{where}"
