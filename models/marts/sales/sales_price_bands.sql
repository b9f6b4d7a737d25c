-- One row per tenant, category and price band that has sales: how many, and their share.
{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key=['tenant_id', 'category', 'band_from'],
    delete_condition='src.sales_count is null',
    insert_condition='src.sales_count is not null',
    on_schema_change='fail',
) }}

with sales as (select * from {{ ref('sales_history') }}),

banded as (
    select
        tenant_id,
        category,
        sold_price,
        -- A band begins with its lower bound and ends below the next one's.
        case
            when sold_price < 25 then 0
            when sold_price < 50 then 25
            when sold_price < 100 then 50
            when sold_price < 250 then 100
            when sold_price < 500 then 250
            when sold_price < 1000 then 500
            when sold_price < 2500 then 1000
            else 2500
        end as band_from
    from sales
),

bands as (
    select
        tenant_id,
        category,
        band_from,
        count(*) as sales_count,
        cast(sum(sold_price) as decimal(18, 2)) as total_price
    from banded
    group by tenant_id, category, band_from
),

shares as (
    select
        tenant_id,
        category,
        band_from,
        case band_from
            when 0 then 25
            when 25 then 50
            when 50 then 100
            when 100 then 250
            when 250 then 500
            when 500 then 1000
            when 1000 then 2500
        end as band_below,
        sales_count,
        total_price,
        cast(
            cast(sales_count as decimal(18, 4))
            / sum(sales_count) over (partition by tenant_id, category) as decimal(9, 4)
        ) as share_of_category
    from bands
),

final as (
    {% if is_incremental() %}
    {{ only_changes(
        rows='shares',
        key=['tenant_id', 'category', 'band_from'],
        values=['band_below', 'sales_count', 'total_price', 'share_of_category'],
        tombstone='sales_count',
    ) }}
    {% else %}
    select * from shares
    {% endif %}
)

select * from final
