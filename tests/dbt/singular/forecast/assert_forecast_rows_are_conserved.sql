-- Every natural key that landed is in the mart, and nothing else: counted a month, straight from
-- the landed files, so that a fault of the staging view cannot hide itself.
-- Days of which a file is archived are left out: Athena does not read it.
with landed as (
    select distinct
        restaurant_id,
        inventory_item_id,
        business_date
    from {{ source('forecast', 'forecast') }}
    where not {{ is_archived('forecast.forecast', 'business_date') }}
),

landed_months as (
    select
        date_trunc('month', business_date) as business_month,
        count(*) as row_count
    from landed
    group by date_trunc('month', business_date)
),

forecast as (select * from {{ ref('fct_forecast') }}),

mart_months as (
    select
        date_trunc('month', business_date) as business_month,
        count(*) as row_count
    from forecast
    where not {{ is_archived('forecast.forecast', 'business_date') }}
    group by date_trunc('month', business_date)
)

select
    coalesce(landed_months.business_month, mart_months.business_month) as business_month,
    landed_months.row_count as landed_rows,
    mart_months.row_count as mart_rows
from landed_months
full outer join mart_months
    on landed_months.business_month = mart_months.business_month
where landed_months.row_count is distinct from mart_months.row_count
