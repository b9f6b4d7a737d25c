{% macro is_archived(table, column) -%}
    {#- `invoke build` says which days; sqlfluff, which runs nothing, has no env_var. -#}
    {%- set days = fromjson(env_var('PENSTOCK_ARCHIVED_DAYS', '{}')) if env_var is defined else {} -%}
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
