-- Each summary counts every sale once, and its totals are the history's to the cent.
with sales as (select * from {{ ref('sales_history') }}),

history as (
    select
        tenant_id,
        category,
        count(*) as sales_count,
        sum(sold_price) as total_price
    from sales
    group by tenant_id, category
),

summaries as (
    {% for model in [
        'sales_monthly_by_category_brand', 'sales_seasonal_performance', 'sales_price_bands', 'sales_condition_effect',
    ] %}
    select
        '{{ model }}' as summary,
        tenant_id,
        category,
        sum(sales_count) as sales_count,
        sum(total_price) as total_price
    from {{ ref(model) }}
    group by tenant_id, category
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select
    summaries.summary,
    coalesce(history.tenant_id, summaries.tenant_id) as tenant_id,
    coalesce(history.category, summaries.category) as category,
    history.sales_count,
    summaries.sales_count as summary_count,
    history.total_price,
    summaries.total_price as summary_price
from summaries
full outer join history
    on
        summaries.tenant_id = history.tenant_id
        and summaries.category = history.category
where
    history.sales_count is distinct from summaries.sales_count
    or history.total_price is distinct from summaries.total_price
