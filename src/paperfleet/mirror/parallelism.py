"""How many requests at once a server likes. Pure: the clock is given."""

from __future__ import annotations

_OVERHEAD = 64 * 1024  # a request costs a server about as much as so many bytes, beside its own
_GROWTH = 1.05  # one more request at once must bring so much throughput
_BUSY = 0.6  # a window counts when so much of the limit was in use on average
_ROUNDS = 2  # each thread has ended so much in a window, or its edges would count for too much
_STRAGGLERS = 3.0  # a request seldom takes more than so many times the mean
_PROBE_AGAIN = (2.0, 60.0)  # seconds between two trials, at first and at most
_THROTTLED = (30.0, 600.0)  # seconds for which a limit that was too much is kept away from


class Parallelism:
    """Finds the number of parallel requests by trial.

    ``limit`` is how many there should be now, from 1 to ``most``. Throughput is measured over a
    window of completed requests; then one more is tried, and kept when throughput grew by more
    than 5 %. In turn one less is tried, and kept when throughput did not fall by as much. A server
    that throttles halves the limit, and the number that was too much is not tried again soon.
    A time in which there was not enough to do for ``limit`` requests teaches nothing.

    Times are seconds of the caller's clock. Not for several threads at once.
    """

    def __init__(self, start: int = 2, most: int = 8) -> None:
        self._most = max(1, most)
        self.limit = min(max(1, start), self._most)
        self._step = 0  # what is on trial: +1, -1, or 0
        self._next_step = 1
        self._base: float | None = None  # throughput of the limit that is not on trial
        self._pause = _PROBE_AGAIN[0]
        self._next_trial = 0.0
        self._ceiling = self._most
        self._ceiling_until = 0.0
        self._ceiling_pause = _THROTTLED[0]
        self._mean_seconds = 0.0
        self._changed = float("-inf")
        self._refused_until = float("-inf")  # refusals until then are of requests sent before
        self._open_window(None)

    def done(self, size: int, seconds: float, now: float, requests: int = 1) -> None:
        """Take note of a request that succeeded: ``size`` in bytes, and how long it took.

        Or of so many ``requests``, one after the other, as of one: size and seconds are of all.
        """
        mean = seconds / requests
        self._mean_seconds += (mean - self._mean_seconds) / (8 if self._mean_seconds else 1)
        if self._started is None:
            # The first request that was sent under this limit shows that it is in force.
            if now - seconds >= self._changed:
                self._open_window(now)
            return
        self._count += requests
        self._ends += 1
        self._work += size + requests * _OVERHEAD
        self._in_use += seconds
        elapsed = now - self._started
        few = self._count < max(8, 4 * self.limit) or self._ends < _ROUNDS * self.limit
        if few or elapsed <= 0:
            return
        if self._in_use / elapsed >= _BUSY * self.limit:
            self._judge(self._work / elapsed, now)
        self._open_window(now)

    def throttled(self, now: float) -> None:
        """Take note of a request that the server did not take, or not in time, for its load."""
        if now < self._refused_until:
            return
        self._ceiling = max(1, self.limit - 1)
        self._ceiling_until = now + self._ceiling_pause
        self._ceiling_pause = min(2 * self._ceiling_pause, _THROTTLED[1])
        self._step, self._next_step, self._base = 0, 1, None
        self._refused_until = now + max(_STRAGGLERS * self._mean_seconds, 0.1)
        self._change_limit(max(1, self.limit // 2), now)

    def _open_window(self, now: float | None) -> None:
        self._started = now
        self._count = 0
        self._ends = 0
        self._work = 0
        self._in_use = 0.0

    def _judge(self, rate: float, now: float) -> None:
        """Decide what the throughput of the last window, in bytes per second, means."""
        if self._step == 0 or self._base is None:
            self._base = rate if self._base is None else (self._base + rate) / 2
            if now >= self._next_trial:
                self._try(self._next_step, now)
            return
        kept = rate > self._base * (_GROWTH if self._step > 0 else 1 / _GROWTH)
        if kept:
            self._base = rate
            self._pause = _PROBE_AGAIN[0]
            self._try(self._step, now)
            return
        self._change_limit(self.limit - self._step, now)
        self._next_step = -self._step
        self._step = 0
        self._next_trial = now + self._pause
        self._pause = min(2 * self._pause, _PROBE_AGAIN[1])

    def _try(self, step: int, now: float) -> None:
        if now >= self._ceiling_until:
            self._ceiling = self._most
        if 1 <= self.limit + step <= self._ceiling:
            self._step = step
            self._change_limit(self.limit + step, now)
        else:
            self._step = 0
            self._next_step = -step
            self._next_trial = now + self._pause

    def _change_limit(self, limit: int, now: float) -> None:
        self.limit = limit
        self._changed = now
        self._open_window(None)
