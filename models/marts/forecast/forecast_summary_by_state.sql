-- One row per state: how many forecasts, their mean, lowest lower and highest upper bound.
--
-- Quantiles become decimals before they are added up: sums of doubles depend on the order of the
-- rows, and a table that changed in its last binary digit at every build would be rewritten at
-- every build. Built like fct_forecast otherwise.
{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key=['state'],
    delete_condition='src.record_count is null',
    insert_condition='src.record_count is not null',
    on_schema_change='fail',
) }}

with forecast as (select * from {{ ref('fct_forecast') }}),

summary as (
    select
        state,
        count(*) as record_count,
        avg(cast(cast(y_50 as decimal(18, 2)) as decimal(18, 4))) as avg_forecast,
        cast(min(y_05) as decimal(18, 2)) as min_forecast,
        cast(max(y_95) as decimal(18, 2)) as max_forecast
    from forecast
    group by state
),

final as (
    {% if is_incremental() %}
    {{ only_changes(
        rows='summary',
        key=['state'],
        values=['record_count', 'avg_forecast', 'min_forecast', 'max_forecast'],
        tombstone='record_count',
    ) }}
    {% else %}
    select * from summary
    {% endif %}
)

select * from final
