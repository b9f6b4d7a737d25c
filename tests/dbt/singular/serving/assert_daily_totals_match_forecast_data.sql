-- The daily view counts every synced row once and adds up to the same totals.
with forecast as (
    select
        count(*) as row_count,
        sum(y_50) as total_y_50
    from {{ source('postgres', 'forecast_data') }}
),

daily as (
    select
        sum(record_count) as row_count,
        sum(total_y_50) as total_y_50
    from {{ ref('forecast_daily_by_state') }}
)

select
    forecast.row_count,
    daily.row_count as daily_row_count,
    forecast.total_y_50,
    daily.total_y_50 as daily_total_y_50
from forecast
cross join daily
where
    forecast.row_count is distinct from coalesce(daily.row_count, 0)
    or forecast.total_y_50 is distinct from daily.total_y_50
