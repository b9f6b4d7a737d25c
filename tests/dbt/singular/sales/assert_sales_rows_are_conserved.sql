-- Every natural key that landed is in the history, and nothing else: counted a month, straight from
-- the landed files, so that a fault of the staging view cannot hide itself.
-- Days of which a file is archived are left out: Athena does not read it.
with landed as (
    select distinct
        tenant_id,
        product_id,
        sold_date
    from {{ source('sales', 'sales') }}
    where not {{ is_archived('sales.sales', 'sold_date') }}
),

landed_months as (
    select
        year(sold_date) as sold_year,
        month(sold_date) as sold_month,
        count(*) as row_count
    from landed
    group by year(sold_date), month(sold_date)
),

history as (select * from {{ ref('sales_history') }}),

history_months as (
    select
        year as sold_year,
        month as sold_month,
        count(*) as row_count
    from history
    where not {{ is_archived('sales.sales', 'sold_date') }}
    group by year, month
)

select
    coalesce(landed_months.sold_year, history_months.sold_year) as sold_year,
    coalesce(landed_months.sold_month, history_months.sold_month) as sold_month,
    landed_months.row_count as landed_rows,
    history_months.row_count as history_rows
from landed_months
full outer join history_months
    on
        landed_months.sold_year = history_months.sold_year
        and landed_months.sold_month = history_months.sold_month
where landed_months.row_count is distinct from history_months.row_count
