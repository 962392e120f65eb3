"""A clock that shows what a test sets it to."""


class SetClock:
    """Boot and wall clock show the same; sleeping moves them."""

    def __init__(self, now: int = 1_000) -> None:
        self.now = now

    def boot_ms(self) -> int:
        return self.now

    def wall_ms(self) -> int:
        return self.now

    def boot_id(self) -> str:
        return "boot"

    async def sleep_until(self, boot_ms: int) -> None:
        self.now = max(self.now, boot_ms)
