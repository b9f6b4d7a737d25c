-- The ten days with the highest forecast of each state, and how far they lie above its mean day.
with by_date as (select * from {{ ref('forecast_summary_by_date') }}),

ranked as (
    select
        state,
        business_date,
        total_y_50,
        avg(total_y_50) over (partition by state) as mean_day_y_50,
        row_number() over (
            partition by state
            order by total_y_50 desc, business_date asc
        ) as place
    from by_date
)

select
    state,
    place,
    business_date,
    total_y_50,
    mean_day_y_50
from ranked
where place <= 10
order by state, place
