"""Numbers of bytes for people."""


def size(count: int | None) -> str:
    """A number of bytes for people.

    >>> size(999), size(3 << 19)
    ('999 B', '1.5 MiB')
    """
    if count is None:
        return "-"
    if count < 1024:
        return f"{count} B"
    amount = float(count)
    units = ["KiB", "MiB", "GiB", "TiB"]
    while True:
        amount, unit = amount / 1024, units.pop(0)
        if amount < 1024 or not units:
            return f"{amount:.1f} {unit}"
