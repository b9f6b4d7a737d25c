-- Both summaries count every forecast once, and their totals are the mart's to the cent.
with forecast as (select * from {{ ref('fct_forecast') }}),

by_state as (select * from {{ ref('forecast_summary_by_state') }}),

by_date as (select * from {{ ref('forecast_summary_by_date') }}),

mart as (
    select
        state,
        count(*) as record_count,
        sum(cast(y_50 as decimal(18, 2))) as total_y_50
    from forecast
    group by state
),

dates as (
    select
        state,
        sum(record_count) as record_count,
        sum(total_y_50) as total_y_50
    from by_date
    group by state
)

select
    mart.state,
    mart.record_count,
    by_state.record_count as record_count_by_state,
    dates.record_count as record_count_by_date,
    mart.total_y_50,
    dates.total_y_50 as total_y_50_by_date
from mart
full outer join by_state
    on mart.state = by_state.state
full outer join dates
    on mart.state = dates.state
where
    mart.record_count is distinct from by_state.record_count
    or mart.record_count is distinct from dates.record_count
    or mart.total_y_50 is distinct from dates.total_y_50
