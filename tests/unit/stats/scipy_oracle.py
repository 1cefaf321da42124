#!/usr/bin/python3
"""The figures of lib/stats by SciPy, for tests/unit/stats/scipy_test.cc: a question, its arguments
and the answer on each line. It is Debian's Python that has Debian's SciPy (python3-scipy)."""
import numpy
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import beta, binom, binomtest, multinomial

random = numpy.random.default_rng(seed=4)


def say(*words):
    print(*(repr(float(w)) if isinstance(w, float) else w for w in words))


def bounds_and_tests():
    for n in (1, 2, 7, 20, 59, 200, 299, 1000, 10_000):
        for k in sorted({0, 1, n // 3, n // 2, n * 96 // 100, n - 1, n}):
            for alpha in (0.0025, 0.05, 0.25):
                exact = binomtest(k, n, alternative="greater").proportion_ci(1 - alpha, "exact")
                say("lower", n, k, alpha, exact.low)
                exact = binomtest(k, n, alternative="less").proportion_ci(1 - alpha, "exact")
                say("upper", n, k, alpha, exact.high)
            for limit in (0.05, 0.5, 0.95):
                say("at_least", n, k, limit, binomtest(k, n, limit, "greater").pvalue)
                say("at_most", n, k, limit, binomtest(k, n, limit, "less").pvalue)


def effective_bounds():
    for n, k, design in ((100, 95, 1.5), (1000, 990, 7.25), (400, 400, 40.0), (60, 1, 3.3)):
        m, j = n / design, k / design
        say("effective_lower", n, k, design, beta.ppf(0.05, j, m - j + 1))
        say("effective_upper", n, k, design, beta.ppf(0.95, j + 1, m - j) if k < n else 1.0)


def mcnemar():
    for losses, gains in ((0, 0), (5, 0), (0, 5), (10, 3), (12, 2), (40, 31), (300, 250)):
        changed = losses + gains
        p = binomtest(losses, changed, 0.5, "greater").pvalue if changed else 1.0
        say("mcnemar", losses, gains, p)


def holm():
    for size in (1, 2, 5, 20):
        p = random.random(size) ** 4
        p[-1] = p[0]  # a tie
        for i in range(size):  # the largest (m - j + 1) p_(j) among those up to p_i, from 1 - m
            order = sorted(p)
            rank = max(j for j in range(size) if order[j] == p[i])
            say("holm", size, *map(float, p), i,
                min(1.0, max((size - j) * order[j] for j in range(rank + 1))))


def power(n, limit, rate, alpha):
    enough = next((k for k in range(n + 1) if binom.sf(k - 1, n, limit) <= alpha), n + 1)
    return float(binom.sf(enough - 1, n, rate))


def sample_sizes():
    cases = [(0.90, 0.95), (0.95, 0.98), (0.95, 0.97), (0.98, 0.99)]
    for limit, rate in cases:
        for alpha in (0.05, 0.0025):
            n = numpy.arange(1, 5001)
            k = binom.isf(alpha, n, limit) + 1  # the fewest with a tail of alpha at most
            enough = numpy.where(k <= n, binom.sf(k - 1, n, rate), 0) >= 0.8
            say("sizes", limit, rate, alpha, n[enough][0], n[~enough][-1] + 1)
            say("power", 262, limit, rate, alpha, power(262, limit, rate, alpha))


def loss_p(n, losses, gains, margin):
    """P(a score as small or smaller) at the least favourable shares that have this loss."""
    def score(b, c):
        low = max(0.0, -margin)

        def slope(q):  # of the log-likelihood in q, times its denominators
            return ((b * q + c * (q + margin)) * (1 - margin - 2 * q)
                    - 2 * (n - b - c) * q * (q + margin))
        high = (1 - margin) / 2
        shares = numpy.linspace(low, high, 201)
        signs = numpy.sign(slope(shares))
        turns = numpy.flatnonzero((signs[1:-1] > 0) & (signs[2:] <= 0)) + 1
        q = brentq(slope, shares[turns[-1]], shares[turns[-1] + 1], xtol=1e-14) if len(turns) else (
            brentq(slope, low + 1e-12, shares[1], xtol=1e-14)
            if slope(low + 1e-12) > 0 else low)
        return (b - c - n * margin) / numpy.sqrt(n * (2 * q + margin - margin * margin))

    outcomes = [(b, c) for b in range(n + 1) for c in range(n - b + 1)]
    seen = score(losses, gains) + 1e-7
    region = numpy.array([(b, c, n - b - c) for b, c in outcomes if score(b, c) <= seen])
    changed = losses + gains
    least = beta.ppf(5e-5, changed, n - changed + 1) if changed else 0.0
    most = beta.ppf(1 - 5e-5, changed + 1, n - changed) if changed < n else 1.0

    def p(rarer):
        b, c = rarer + max(0.0, margin), rarer + max(0.0, -margin)
        return multinomial.pmf(region, n, [b, c, 1 - b - c]).sum()
    low, high = (max(0.0, (share - abs(margin)) / 2) for share in (least, most))
    grid = numpy.linspace(low, high, 200)
    best = int(numpy.argmax([p(q) for q in grid]))
    around = (grid[max(best - 1, 0)], grid[min(best + 1, 199)])
    peak = minimize_scalar(lambda q: -p(q), bounds=around, method="bounded")
    return max(-peak.fun, p(grid[best])) + 1e-4


def loss():
    for n, losses, gains, margin in ((20, 0, 1, 0.1), (30, 2, 2, 0.1), (40, 1, 4, 0.05)):
        say("loss_holds", n, losses, gains, margin, float(loss_p(n, losses, gains, margin)))
    for n, losses, gains, margin in ((20, 6, 1, 0.1), (30, 9, 0, 0.05)):
        say("loss_broken", n, losses, gains, margin, float(loss_p(n, gains, losses, -margin)))


bounds_and_tests()
effective_bounds()
mcnemar()
holm()
sample_sizes()
loss()
