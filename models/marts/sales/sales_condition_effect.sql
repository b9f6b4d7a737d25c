-- One row per tenant, category and condition: prices, and how they stand to those of new ones.
{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key=['tenant_id', 'category', 'condition'],
    delete_condition='src.sales_count is null',
    insert_condition='src.sales_count is not null',
    on_schema_change='fail',
) }}

with sales as (select * from {{ ref('sales_history') }}),

conditions as (
    select
        tenant_id,
        category,
        condition,
        count(*) as sales_count,
        cast(sum(sold_price) as decimal(18, 2)) as total_price,
        avg(cast(sold_price as decimal(18, 4))) as avg_price
    from sales
    group by tenant_id, category, condition
),

new_ones as (
    select
        tenant_id,
        category,
        avg_price
    from conditions
    where condition = 'new'
),

effect as (
    select
        conditions.tenant_id,
        conditions.category,
        conditions.condition,
        conditions.sales_count,
        conditions.total_price,
        conditions.avg_price,
        -- Null where the tenant sold no new one of the category: there is nothing to stand to.
        cast(conditions.avg_price / new_ones.avg_price as decimal(9, 4)) as price_to_new
    from conditions
    left join new_ones
        on
            conditions.tenant_id = new_ones.tenant_id
            and conditions.category = new_ones.category
),

final as (
    {% if is_incremental() %}
    {{ only_changes(
        rows='effect',
        key=['tenant_id', 'category', 'condition'],
        values=['sales_count', 'total_price', 'avg_price', 'price_to_new'],
        tombstone='sales_count',
    ) }}
    {% else %}
    select * from effect
    {% endif %}
)

select * from final
