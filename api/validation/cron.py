"""Whether a cron schedule is one: five fields of numbers, names, ranges, steps and lists, or a word such as `@daily`.

Source: crontab(5); the words and day names are those that Kubernetes' parser knows.
"""

import re

_WORDS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_MONTHS = {name: i + 1 for i, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split())}
_DAYS = {name: i for i, name in enumerate("sun mon tue wed thu fri sat".split())}
_FIELDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, _MONTHS),
    (0, 6, _DAYS),
)
_DURATION = re.compile(r"@every (\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+")


def problems(schedule: str) -> list[str]:
    """What is wrong with a schedule, empty if nothing is."""
    if schedule.startswith("@"):
        if schedule in _WORDS or _DURATION.fullmatch(schedule):
            return []
        return [f"unrecognized descriptor: {schedule}"]
    fields = schedule.split()
    if len(fields) != len(_FIELDS):
        return [f"expected exactly 5 fields, found {len(fields)}: {fields}"]
    for text, (low, high, words) in zip(fields, _FIELDS, strict=True):
        for part in text.split(","):
            wrong = _part(part, low, high, words)
            if wrong:
                return [wrong]
    return []


def _part(part: str, low: int, high: int, words: dict[str, int]) -> str:
    span, slash, step = part.partition("/")
    if slash and (not step.isdigit() or int(step) == 0):
        return f"step of range should be a positive number: {part}"
    if span in ("*", "?"):
        return ""
    ends = span.split("-")
    if len(ends) > 2:
        return f"too many hyphens: {part}"
    numbers = []
    for end in ends:
        number = words.get(end.lower())
        if number is None:
            if not end.isdigit():
                return f"failed to parse int from {end}: invalid syntax"
            number = int(end)
        numbers.append(number)
    if numbers[0] < low:
        return f"beginning of range ({numbers[0]}) below minimum ({low}): {part}"
    if numbers[-1] > high:
        return f"end of range ({numbers[-1]}) above maximum ({high}): {part}"
    if numbers[0] > numbers[-1]:
        return f"beginning of range ({numbers[0]}) beyond end of range ({numbers[-1]}): {part}"
    return ""
