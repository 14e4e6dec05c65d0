"""For a worker of the benchmark: the breaker counts and never opens."""

from openplatform import breaker

breaker.THRESHOLD = 10**9
