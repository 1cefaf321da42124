#!/usr/bin/python3
"""The figures of lib/stats by SciPy, for tests/unit/stats/scipy_test.cc: a question, its arguments
and the answer on each line. It is Debian's Python that has Debian's SciPy (python3-scipy)."""
import numpy
from scipy.optimize import brentq, minimize_scalar
from scipy.special import betainc
from scipy.stats import beta, binom, binomtest, f_oneway, hypergeom, multinomial

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


def draws():
    for total, marked, drawn in ((20, 5, 8), (450, 54, 8), (450, 54, 100), (20_000, 900, 60)):
        for k in sorted({0, 1, drawn // 4, drawn // 2, min(marked, drawn)}):
            p = float(hypergeom.sf(k - 1, total, marked, drawn))
            if p > 0:
                say("log_drawn", total, marked, drawn, k, float(numpy.log(p)))


def mcnemar():
    for losses, gains in ((0, 0), (5, 0), (0, 5), (10, 3), (12, 2), (40, 31), (300, 250)):
        changed = losses + gains
        p = binomtest(losses, changed, 0.5, "greater").pvalue if changed else 1.0
        say("mcnemar", losses, gains, 1, p)
    for losses, gains, design in ((10, 3, 1.5), (40, 31, 3.25)):
        say("mcnemar", losses, gains, design,
            float(betainc(losses / design, gains / design + 1, 0.5)))


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


def gaps():
    """The largest difference of an upper and another group's lower bound, and of a lower and an
    upper one at Bonferroni's share; and the alphas at which these reach a limit."""
    def bounds(groups, tail):
        low = [beta.ppf(tail, k, n - k + 1) if k else 0.0 for n, k in groups]
        high = [beta.ppf(1 - tail, k + 1, n - k) if k < n else 1.0 for n, k in groups]
        return low, high

    def upper(groups, alpha):
        low, high = bounds(groups, alpha / 2)
        return max(high[i] - low[j] for i in range(len(low)) for j in range(len(low)) if i != j)

    def lower(groups, alpha):
        low, high = bounds(groups, alpha / (2 * len(groups)))
        return max(0.0, max(low) - min(high))

    for groups in (((200, 190), (300, 240)), ((1000, 950), (150, 149), (90, 70)),
                   ((40, 40), (30, 0))):
        counts = [v for group in groups for v in group]
        for alpha in (0.05, 0.01):
            say("gap_upper", alpha, *counts, float(upper(groups, alpha)))
            say("gap_lower", alpha, *counts, float(lower(groups, alpha)))
    for groups, limit in ((((2000, 1900), (2000, 1890)), 0.02), (((500, 470), (80, 79)), 0.1)):
        counts = [v for group in groups for v in group]
        p = brentq(lambda a: upper(groups, a) - limit, 1e-9, 0.999, xtol=1e-14)
        say("gap_holds", limit, *counts, p)
    for groups, limit in ((((500, 475), (500, 430)), 0.03), (((300, 290), (80, 40), (9, 9)), 0.2)):
        counts = [v for group in groups for v in group]
        p = brentq(lambda a: lower(groups, a) - limit, 1e-9, 0.999, xtol=1e-14)
        say("gap_broken", limit, *counts, p)


def icc():
    for groups in (((10, 10), (10, 10), (10, 2), (10, 9), (10, 9)),
                   ((3, 1), (50, 45), (7, 7), (20, 5), (1, 0), (4, 4)), ((9, 5), (8, 4), (7, 4))):
        values = [[1] * k + [0] * (n - k) for n, k in groups]
        f = f_oneway(*values).statistic
        total = sum(n for n, _ in groups)
        size = (total - sum(n * n for n, _ in groups) / total) / (len(groups) - 1)
        say("icc", *[v for group in groups for v in group],
            float(max(0.0, (f - 1) / (f - 1 + size))))


def trials_needed():
    for n, k, design, limit, alpha in (
            (200, 192, 1, 0.95, 0.05), (20, 20, 2, 0.95, 0.05), (100, 92, 1, 0.95, 0.0025),
            (750, 629, 3.5, 0.85, 0.05), (10, 9, 1, 0.7, 0.05)):
        sizes = numpy.arange(n, 200_000)
        trials = sizes / design
        successes = trials * (k / n)
        many = betainc(successes, trials - successes + 1, limit)
        few = (1 - betainc(successes + 1, trials - successes, limit) if k < n
               else numpy.ones(len(sizes)))
        settled = sizes[(many <= alpha) | (few <= alpha)]
        say("trials_needed", n, k, design, limit, alpha, settled[0] - n)


bounds_and_tests()
effective_bounds()
draws()
mcnemar()
holm()
sample_sizes()
loss()
gaps()
icc()
trials_needed()
