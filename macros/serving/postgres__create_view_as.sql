{% macro postgres__create_view_as(relation, sql) %}
    {#- As dbt-postgres does; with config meta.security_invoker the view reads with the rights of who asks it, row-level
        security included. Any other view reads as its owner, who sees every tenant. -#}
    {%- set sql_header = config.get('sql_header', none) -%}
    {{ sql_header if sql_header is not none }}
    create view {{ relation }}
    {%- if (config.get('meta') or {}).get('security_invoker') %} with (security_invoker = true){% endif -%}
    {%- if config.get('contract').enforced %}
        {{ get_assert_columns_equivalent(sql) }}
    {%- endif %} as (
        {{ sql }}
    );
{% endmacro %}
