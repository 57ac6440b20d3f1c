"""When more vantage points changed for the worse than chance explains: noise makes as many better."""

from __future__ import annotations

# Jitter, queues and other flows make about as many slower as faster. How many more the ones are is measured in standard
# deviations of that: three come once in 700 comparisons without a change.
_DEVIATIONS = 3.0
# Noise is not quite the same before and after, by day and by night; of thousands a small difference would be certain,
# and mean nothing: twice as many do.
_TIMES_AS_MANY = 2
# Where none is better and six are worse, chance made it in less than one comparison of two hundred, however strong
# the noise (of rare events on either side, three on average, it is 0.4 %). A few of thousands have a new line at home.
_AGAINST_NONE = 6
_NOTICED = 1 / 20
# Of a dozen vantage points no surplus reaches either. There a third of all is news, if they are several: with one in
# twenty slower by chance and one faster that comes once in 160 comparisons at most.
_SHARE = 1 / 3
_SEVERAL = 3
# So many groups, or fewer, may have lost all of theirs by chance: once in a hundred comparisons.
_GROUPS_BY_CHANCE = 1 / 100


def is_news(more: int, less: int, of: int) -> bool:
    """Tell whether so many to one side, against so `less` to the other, say that something changed."""
    surplus = more - less
    if more < _TIMES_AS_MANY * less or surplus < _SEVERAL:
        return False
    if less == 0 and more >= _AGAINST_NONE and more >= _NOTICED * of:
        return True
    return surplus >= _SHARE * of or surplus >= _DEVIATIONS * (more + less) ** 0.5


def are_lost_together(count: int, *, lost_elsewhere: int, elsewhere: int, groups: int) -> bool:
    """Tell whether all of so many in one of several groups were lost by more than what befalls each for itself.

    How often that happens is seen in those `elsewhere`.
    """
    share = lost_elsewhere / elsewhere if elsewhere else 0.0
    return groups * share**count <= _GROUPS_BY_CHANCE
