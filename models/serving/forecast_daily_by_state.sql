-- One row per business date and state: totals of the three quantiles, as synced.
-- Read through source(), for ref() would name a table of the lake; the next line keeps the lineage.
-- depends_on: {{ ref('fct_forecast') }}
with forecast as (select * from {{ source('postgres', 'forecast_data') }}),

final as (
    select
        business_date,
        state,
        count(*) as record_count,
        cast(sum(y_05) as numeric(18, 2)) as total_y_05,
        cast(sum(y_50) as numeric(18, 2)) as total_y_50,
        cast(sum(y_95) as numeric(18, 2)) as total_y_95
    from forecast
    group by
        business_date,
        state
)

select * from final
