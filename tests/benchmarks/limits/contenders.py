"""Who is measured. All talk to the store that REDIS_URL names, over a connection that is open already."""

import itertools
import os

import django
from bench import Contender
from django.conf import settings

REDIS_URL = os.environ["REDIS_URL"]
DAY_S = 86_400
_numbers = itertools.count(1)


def everybody():
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}
    django.setup()
    return [Contender("PING: the round trip alone", _ping, is_limiter=False), *_ours(), *_package(), _drf()]


def _ping(_key, _limit):
    from openplatform.store import _client

    return _client(REDIS_URL).ping


def _ours():
    """Rules of one day: none of them runs out or is refilled while it is measured."""
    from openplatform import nonces
    from openplatform.limits import Rule, Tally, counting
    from openplatform.models.limits import LimitAlgorithm, LimitScope

    def tally(algorithm, key, limit):
        # In a day not one token comes back that the measurement would notice; the burst is the limit.
        is_bucket = algorithm in ("token", "leaky")
        size = limit if is_bucket else 10 if algorithm == "cells" else 0
        number = list(LimitAlgorithm.values).index(algorithm) + 1
        rule = Rule(
            id=number, version=1, scope=LimitScope.APP, algorithm=LimitAlgorithm(algorithm),
            limit=1 if is_bucket else limit, period_s=DAY_S, size=size,
        )  # fmt: skip
        return Tally(rule=rule, whom=key)

    def one(algorithm):
        def make(key, limit):
            tallies = [tally(algorithm, f"one:{key}", limit)]
            return lambda: not counting.count(tallies).is_denied

        return make

    def four(key, limit):
        tallies = [tally(algorithm, f"four:{key}", limit) for algorithm in LimitAlgorithm.values]
        return lambda: not counting.count(tallies).is_denied

    def four_and_nonce(key, limit):
        tallies = [tally(algorithm, f"nonce:{key}", limit) for algorithm in LimitAlgorithm.values]
        name = f"{os.getpid()}-{next(_numbers)}"
        nonce = (f"{name}-{number}" for number in itertools.count())
        return lambda: not nonces.remember(serial_no=key, nonce=next(nonce), tallies=tallies).is_denied

    names = {
        "fixed": "fixed window",
        "cells": "sliding window, 10 cells",
        "token": "token bucket",
        "leaky": "leaky bucket",
    }
    return [
        *(Contender(f"ours: {name}", one(algorithm)) for algorithm, name in names.items()),
        Contender("ours: all four rules in one call", four),
        Contender("ours: all four and the nonce in one call", four_and_nonce),
    ]


def _package():
    from limits import RateLimitItemPerDay
    from limits.storage import RedisStorage
    from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter, SlidingWindowCounterRateLimiter

    def contender(name, strategy):
        def make(key, limit):
            limiter, item = (
                strategy(RedisStorage(REDIS_URL.replace("unix://", "redis+unix://"))),
                RateLimitItemPerDay(limit),
            )
            return lambda: limiter.hit(item, name, key)

        return Contender(f"limits: {name}", make)

    return [
        contender("fixed window", FixedWindowRateLimiter),
        contender("moving window", MovingWindowRateLimiter),
        contender("sliding window counter", SlidingWindowCounterRateLimiter),
    ]


def _drf():
    from rest_framework.throttling import SimpleRateThrottle

    def make(key, limit):
        class Throttle(SimpleRateThrottle):
            rate = f"{limit}/day"

            def get_cache_key(self, _request, _view):
                return f"drf:{key}"

        return lambda: Throttle().allow_request(None, None)

    return Contender("DRF: SimpleRateThrottle on Django's Redis cache", make)
