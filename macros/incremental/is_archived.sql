{% macro is_archived(table, column) -%}
    {#-
        `invoke build` says which days; sqlfluff, which runs nothing, has no env_var. A unit test's rows are
        its own: what happens to lie in the archive is nothing to them.
    -#}
    {%- set is_unit_test = model is defined and model.resource_type == 'unit_test' -%}
    {%- set told = env_var is defined and not is_unit_test -%}
    {%- set days = fromjson(env_var('PENSTOCK_ARCHIVED_DAYS', '{}')) if told else {} -%}
    {%- if days.get(table) -%}
    (
        {%- for first, last in days[table] %}
        {{ 'or ' if not loop.first }}cast({{ column }} as date) between date '{{ first }}' and date '{{ last }}'
        {%- endfor %}
    )
    {%- else -%}
    false
    {%- endif -%}
{%- endmacro %}
