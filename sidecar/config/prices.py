"""Price documents: what a backend costs, and when it costs something else."""

from typing import Annotated, NamedTuple

import msgspec

from sidecar.errors import ConfigError, Fault
from sidecar.model import CalendarFields, Price, PricePeriod, compile_calendar

Amount = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
"""US dollars per token; the bound keeps sums of them finite."""


class PeriodDocument(CalendarFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A calendar and its prices; what is absent is as it is outside of all periods."""

    per_input_token: Amount | msgspec.UnsetType = msgspec.UNSET
    per_output_token: Amount | msgspec.UnsetType = msgspec.UNSET
    per_cached_input_token: Amount | msgspec.UnsetType | None = msgspec.UNSET


class PriceDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """US dollars per token."""

    per_input_token: Amount = 0.0
    per_output_token: Amount = 0.0
    per_cached_input_token: Amount | None = None
    periods: Annotated[tuple[PeriodDocument, ...], msgspec.Meta(max_length=100)] = ()


class Prices(NamedTuple):
    """The price outside of all periods, and the periods."""

    price: Price
    periods: tuple[PricePeriod, ...]


def compile_prices(document: PriceDocument, path: str, faults: list[Fault]) -> Prices:
    """Compile prices; what is wrong with their calendars goes to ``faults``."""
    base = Price(
        document.per_input_token, document.per_output_token, document.per_cached_input_token
    )
    periods = []
    for place, period in enumerate(document.periods):
        try:
            calendar = compile_calendar(period, f"{path}.periods[{place}]")
        except ConfigError as error:
            faults += error.faults
            continue
        changed = {
            field: value
            for field in Price.__struct_fields__
            if (value := getattr(period, field)) is not msgspec.UNSET
        }
        periods.append(PricePeriod(calendar, msgspec.structs.replace(base, **changed)))
    return Prices(base, tuple(periods))
