"""The demand forecast: one row a restaurant, item and day with three quantiles of the expected demand."""

from __future__ import annotations

from penstock.sources.declaration import Column, Source

# the 50 states, the District of Columbia and the five inhabited territories (USPS codes)
STATES = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR"
    "|PA|RI|SC|SD|TN|TX|UT|VT|VA|WA|WV|WI|WY|DC|AS|GU|MP|PR|VI"
)

# the marts reach Postgres as decimal(10,2): a larger value would only fail there, two steps later
_LARGEST = 99_999_999.99


def _quantile(name: str) -> Column:
    return Column(name, "double", minimum=-_LARGEST, maximum=_LARGEST)


FORECAST = Source(
    name="forecast",
    table="forecast",
    columns=(
        Column("restaurant_id", "int"),
        Column("inventory_item_id", "int"),
        Column("business_date", "date"),
        Column(
            "dma_id",
            "string",
            nullable=True,
            pattern=r"[A-Za-z0-9_-]{1,50}",
            means="a market code (1 to 50 letters, digits, - or _)",
        ),
        Column("dc_id", "int", nullable=True),
        Column(
            "state",
            "string",
            pattern=STATES,
            means="a state code (two capital letters: a US state, DC or a territory)",
        ),
        _quantile("y_05"),
        _quantile("y_50"),
        _quantile("y_95"),
    ),
    key=("restaurant_id", "inventory_item_id", "business_date"),
    ordered=(("y_05", "y_50", "y_95"),),
)
