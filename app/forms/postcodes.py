"""Swedish postcodes: five digits, of which an operator names ranges by their first ones."""

import re

ZipRange = tuple[int, int]

_RANGE = re.compile(r"([1-9][0-9]{0,4})(?:[-–]([1-9][0-9]{0,4}))?")  # noqa: RUF001 - people type the dash too
_POSTCODE = re.compile(r"(?:SE?[- ]?)?([1-9][0-9]{2}) ?([0-9]{2})", re.IGNORECASE)


def parse_range(text: str) -> ZipRange:
    """`111` is (11100, 11199), `111-118` (11100, 11899), `169 55` (16955, 16955). Raises ValueError."""
    match = _RANGE.fullmatch("".join(text.split()))
    if match is None:
        raise ValueError('is no range of postcodes; write "111-118", "111" or "169 55"')
    low = int(match[1].ljust(5, "0"))
    high = int((match[2] or match[1]).ljust(5, "9"))
    if low > high:
        raise ValueError(f'runs backwards; write "{match[2]}-{match[1]}"')
    return low, high


def parse_postcode(text: str) -> int | None:
    """The five digits of `169 55`, `16955` or `SE-169 55`; None for anything else."""
    match = _POSTCODE.fullmatch(text.strip())
    return int(match[1] + match[2]) if match else None


def format_range(span: ZipRange) -> str:
    """As people say it, by three digits where they will do: (11100, 11899) is `111-118`."""
    low, high = span
    while low % 10 == 0 and high % 10 == 9 and low >= 1000:
        low, high = low // 10, high // 10
    return _spaced(low) if low == high else f"{_spaced(low)}-{_spaced(high)}"


def _spaced(number: int) -> str:
    text = str(number)
    return f"{text[:3]} {text[3:]}" if len(text) == 5 else text


def unite(spans: tuple[ZipRange, ...] | list[ZipRange]) -> list[ZipRange]:
    """The same postcodes in as few ranges as possible, ascending."""
    united: list[ZipRange] = []
    for low, high in sorted(spans):
        if united and low <= united[-1][1] + 1:
            united[-1] = united[-1][0], max(high, united[-1][1])
        else:
            united.append((low, high))
    return united


def subtract(span: ZipRange, spans: list[ZipRange]) -> list[ZipRange]:
    """What is left of a range without the others."""
    left, (start, end) = [], span
    for low, high in unite(spans):
        if low > start:
            left.append((start, min(low - 1, end)))
        start = max(start, high + 1)
        if start > end:
            break
    if start <= end:
        left.append((start, end))
    return [(low, high) for low, high in left if low <= high]


def intersect(one: tuple[ZipRange, ...], other: tuple[ZipRange, ...]) -> list[ZipRange]:
    """The postcodes that both have."""
    pairs = ((max(a[0], b[0]), min(a[1], b[1])) for a in one for b in other)
    return unite([(low, high) for low, high in pairs if low <= high])
