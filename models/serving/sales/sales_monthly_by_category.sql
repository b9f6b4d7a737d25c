-- One row per tenant, month and category: how many sales and their total, as synced.
-- Read through source(), for ref() would name a table of the lake; the next line keeps the lineage.
-- depends_on: {{ ref('sales_history') }}
with sales as (select * from {{ source('postgres', 'sales_history') }}),

final as (
    select
        tenant_id,
        cast(date_trunc('month', sold_date) as date) as sold_month,
        category,
        count(*) as sale_count,
        cast(sum(sold_price) as numeric(18, 2)) as total_price
    from sales
    group by
        tenant_id,
        date_trunc('month', sold_date),
        category
)

select * from final
