"""The four algorithms over again, in exact fractions and whole logs: slow, obvious, sharing nothing with the scripts.

Each is asked `fits(now_us)` and told `take(now_us)`.
"""

from fractions import Fraction


class Fixed:
    def __init__(self, limit, period_us, _size=0):
        self.limit, self.period_us, self.taken = limit, period_us, []

    def left(self, now_us):
        return self.limit - sum(at // self.period_us == now_us // self.period_us for at in self.taken)

    def fits(self, now_us):
        return self.left(now_us) > 0

    def take(self, now_us):
        self.taken.append(now_us)


class Cells(Fixed):
    """Everything since the beginning of the cell that is n before the present one."""

    cells_back = 0

    def __init__(self, limit, period_us, n):
        super().__init__(limit, period_us)
        self.n, self.width_us = n, -(-period_us // n)

    def left(self, now_us):
        oldest = now_us // self.width_us - self.n - self.cells_back
        return self.limit - sum(at // self.width_us >= oldest for at in self.taken)


class UsualCells(Cells):
    """The formula that is found everywhere: n cells in all, the present one among them. It admits too many."""

    cells_back = -1


class Token:
    def __init__(self, limit, period_us, burst):
        self.rate, self.burst, self.tokens, self.at = Fraction(limit, period_us), burst, Fraction(burst), 0

    def _now(self, now_us):
        return min(Fraction(self.burst), self.tokens + (now_us - self.at) * self.rate)

    def left(self, now_us):
        return int(self._now(now_us))

    def fits(self, now_us):
        return self._now(now_us) >= 1

    def take(self, now_us):
        self.tokens, self.at = self._now(now_us) - 1, now_us


class Leaky:
    def __init__(self, limit, period_us, burst):
        self.rate, self.burst, self.level, self.at = Fraction(limit, period_us), burst, Fraction(0), 0

    def _now(self, now_us):
        return max(Fraction(0), self.level - (now_us - self.at) * self.rate)

    def left(self, now_us):
        return int(self.burst - self._now(now_us))

    def fits(self, now_us):
        return self._now(now_us) + 1 <= self.burst

    def take(self, now_us):
        self.level, self.at = self._now(now_us) + 1, now_us


REFERENCES = {"fixed": Fixed, "cells": Cells, "token": Token, "leaky": Leaky}


def worst_in_any(period_us, taken):
    """The most that were let through in any time of that length, wherever it begins."""
    return max((sum(first <= at < first + period_us for at in taken) for first in taken), default=0)
