-- One row per tenant, year, season and category: sales, prices, how they stand to the whole year.
{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key=['tenant_id', 'year', 'season', 'category'],
    delete_condition='src.sales_count is null',
    insert_condition='src.sales_count is not null',
    on_schema_change='fail',
) }}

with sales as (select * from {{ ref('sales_history') }}),

years as (
    select
        tenant_id,
        year,
        category,
        count(*) as sales_count,
        avg(cast(sold_price as decimal(18, 4))) as avg_price
    from sales
    group by tenant_id, year, category
),

seasons as (
    select
        tenant_id,
        year,
        season,
        category,
        count(*) as sales_count,
        cast(sum(sold_price) as decimal(18, 2)) as total_price,
        avg(cast(sold_price as decimal(18, 4))) as avg_price
    from sales
    group by tenant_id, year, season, category
),

performance as (
    select
        seasons.tenant_id,
        seasons.year,
        seasons.season,
        seasons.category,
        seasons.sales_count,
        seasons.total_price,
        seasons.avg_price,
        cast(
            cast(seasons.sales_count as decimal(18, 4)) / years.sales_count as decimal(9, 4)
        ) as share_of_year,
        cast(seasons.avg_price / years.avg_price as decimal(9, 4)) as price_index
    from seasons
    inner join years
        on
            seasons.tenant_id = years.tenant_id
            and seasons.year = years.year
            and seasons.category = years.category
),

final as (
    {% if is_incremental() %}
    {{ only_changes(
        rows='performance',
        key=['tenant_id', 'year', 'season', 'category'],
        values=['sales_count', 'total_price', 'avg_price', 'share_of_year', 'price_index'],
        tombstone='sales_count',
    ) }}
    {% else %}
    select * from performance
    {% endif %}
)

select * from final
