-- One row per tenant, month, category and brand: how many sales and products, and at what prices.
{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key=['tenant_id', 'sold_month', 'category', 'brand'],
    delete_condition='src.sales_count is null',
    insert_condition='src.sales_count is not null',
    on_schema_change='fail',
) }}

with sales as (select * from {{ ref('sales_history') }}),

monthly as (
    select
        tenant_id,
        cast(date_trunc('month', sold_date) as date) as sold_month,
        category,
        brand,
        count(*) as sales_count,
        count(distinct product_id) as product_count,
        cast(sum(sold_price) as decimal(18, 2)) as total_price,
        avg(cast(sold_price as decimal(18, 4))) as avg_price,
        min(sold_price) as min_price,
        max(sold_price) as max_price
    from sales
    group by tenant_id, date_trunc('month', sold_date), category, brand
),

final as (
    {% if is_incremental() %}
    {{ only_changes(
        rows='monthly',
        key=['tenant_id', 'sold_month', 'category', 'brand'],
        values=['sales_count', 'product_count', 'total_price', 'avg_price', 'min_price', 'max_price'],
        tombstone='sales_count',
    ) }}
    {% else %}
    select * from monthly
    {% endif %}
)

select * from final
