{% macro athena__get_create_table_as_sql(temporary, relation, sql) %}
    {#- A unit test drops its table at its end; one that was killed, or whose SQL failed, leaves it. -#}
    {%- set leftover = load_cached_relation(relation) if temporary else none -%}
    {%- if leftover is not none -%}
        {%- do adapter.drop_relation(leftover) -%}
    {%- endif -%}
    {{ return(create_table_as(temporary, relation, sql)) }}
{% endmacro %}
