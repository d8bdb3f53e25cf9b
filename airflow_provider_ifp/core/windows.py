"""Windows of time: which rows train, which are held out, which are checked for drift.

Every window is half open, [start, end), and counted back from the time of the run ("now", contract section
3), never from the wall clock:

    ......|------- train -------|--- holdout ---|- label_delay -|
          train.start           holdout.start   holdout.end     now
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from airflow_provider_ifp.core.errors import IfpError, PolicyError

_NONE = timedelta(0)
_HOURLY = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Window:
    """The times t with start <= t < end.

    Attributes:
        start: First moment inside, in UTC; None: from the beginning of the data.
        end: First moment after, in UTC.

    Raises:
        IfpError: A time that is not in UTC (a naive one included), or a start that is not before the end.

    >>> from datetime import UTC
    >>> print(Window(datetime(2013, 2, 19, tzinfo=UTC), datetime(2013, 3, 1, 12, tzinfo=UTC)))
    [2013-02-19T00:00Z, 2013-03-01T12:00Z)
    >>> print(Window(None, datetime(2013, 3, 1, tzinfo=UTC)))
    [beginning, 2013-03-01T00:00Z)
    """

    start: datetime | None
    end: datetime

    def __post_init__(self) -> None:
        """Refuse times that cannot be compared without guessing a zone."""
        require_utc(self.end, "the end of a window")
        if self.start is None:
            return
        require_utc(self.start, "the start of a window")
        if self.start >= self.end:
            raise IfpError(
                f"a window must end after it starts: found start {_iso(self.start)}, end {_iso(self.end)}"
            )

    def __str__(self) -> str:
        """Write the window as messages and source ids show it."""
        return f"[{'beginning' if self.start is None else _iso(self.start)}, {_iso(self.end)})"


@dataclass(frozen=True, slots=True)
class Windows:
    """The two windows of a training run; the holdout is never in training."""

    train: Window
    holdout: Window


def training_windows(
    now: datetime, train_window: timedelta | None, holdout_window: timedelta, label_delay: timedelta
) -> Windows:
    """Place the training window and the holdout before `now`.

    Args:
        now: The time of the run, in UTC.
        train_window: Length of the training window; None: all there is before the holdout.
        holdout_window: Length of the holdout, the newest labelled rows.
        label_delay: How long a label takes to arrive; the holdout ends that long before `now`.

    Raises:
        IfpError: `now` is not in UTC, or the windows reach back before the year 1.
        PolicyError: A window of no length, or a negative label delay.

    >>> from datetime import UTC
    >>> days = timedelta(days=1)
    >>> windows = training_windows(datetime(2013, 3, 1, tzinfo=UTC), 51 * days, 10 * days, 0 * days)
    >>> print(windows.train, windows.holdout)
    [2012-12-30T00:00Z, 2013-02-19T00:00Z) [2013-02-19T00:00Z, 2013-03-01T00:00Z)
    """
    require_utc(now, "the time of the run")
    if train_window is not None:
        _require_length(train_window, "data.train_window")
    _require_length(holdout_window, "data.holdout_window")
    if label_delay < _NONE:
        raise PolicyError(f"data.label_delay: expected 0d or more, found {label_delay}")
    end = _back(now, label_delay)
    start = _back(end, holdout_window)
    train_start = None if train_window is None else _back(start, train_window)
    return Windows(train=Window(train_start, start), holdout=Window(start, end))


def current_window(now: datetime, evaluation_window: timedelta) -> Window:
    """Place the window that is checked for drift: the newest `evaluation_window` before `now`.

    Raises:
        IfpError: `now` is not in UTC, or the window reaches back before the year 1.
        PolicyError: A window of no length.

    >>> from datetime import UTC
    >>> print(current_window(datetime(2013, 7, 1, tzinfo=UTC), timedelta(days=30)))
    [2013-06-01T00:00Z, 2013-07-01T00:00Z)
    """
    require_utc(now, "the time of the run")
    _require_length(evaluation_window, "monitor.evaluation_window")
    return Window(_back(now, evaluation_window), now)


def preceding(window: Window, times: int) -> Window:
    """Return the window that lies so many of its own lengths before.

    Raises:
        IfpError: It reaches back to the beginning of the data, or before the year 1.

    >>> from datetime import UTC
    >>> print(preceding(current_window(datetime(2013, 8, 1, tzinfo=UTC), timedelta(days=31)), 1))
    [2013-05-31T00:00Z, 2013-07-01T00:00Z)
    """
    if window.start is None:
        raise IfpError(f"{window} has no length")
    back = (window.end - window.start) * times
    return Window(_back(window.start, back), _back(window.end, back))


def calendar_blocks(window: Window) -> list[Window]:
    """Cut a window at midnights, or at full hours when it is no longer than two days.

    Raises:
        IfpError: It reaches back to the beginning of the data.

    >>> from datetime import UTC
    >>> june = Window(datetime(2013, 6, 1, 12, tzinfo=UTC), datetime(2013, 6, 4, tzinfo=UTC))
    >>> print(*calendar_blocks(june)[:2])
    [2013-06-01T12:00Z, 2013-06-02T00:00Z) [2013-06-02T00:00Z, 2013-06-03T00:00Z)
    """
    if window.start is None:
        raise IfpError(f"{window} has no first block")
    hourly = window.end - window.start <= _HOURLY
    step = timedelta(hours=1) if hourly else timedelta(days=1)
    at = window.start.replace(minute=0, second=0, microsecond=0)
    cut = at if hourly else at.replace(hour=0)
    blocks = []
    start = window.start
    while start < window.end:
        cut += step
        blocks.append(Window(start, min(cut, window.end)))
        start = cut
    return blocks


def require_utc(time: datetime, what: str) -> None:
    """Refuse a time whose zone would have to be guessed, or is not UTC.

    Raises:
        IfpError: A naive time, or one in another zone.
    """
    if time.utcoffset() is None:
        raise IfpError(f"{what} must be in UTC: {time.isoformat()} has no time zone; append Z or +00:00")
    if time.utcoffset() != _NONE:
        raise IfpError(f"{what} must be in UTC: found {time.isoformat()}; convert it with astimezone(UTC)")


def _require_length(length: timedelta, key: str) -> None:
    if length <= _NONE:
        raise PolicyError(f"{key}: expected more than 0d, found {length}")


def _back(time: datetime, length: timedelta) -> datetime:
    try:
        return time - length
    except OverflowError:
        raise IfpError(f"{length} before {_iso(time)} lies before the year 1; shorten the window") from None


def _iso(time: datetime) -> str:
    """Write minutes, and seconds or microseconds only where there are any."""
    precise = "auto" if time.second or time.microsecond else "minutes"
    return time.replace(tzinfo=None).isoformat(timespec=precise) + "Z"
