{% macro generate_schema_name(custom_schema_name, node) %}
    {#- dbt's own puts the target's schema before a configured one; here a configured name is the whole name. -#}
    {{ return((custom_schema_name or target.schema) | trim) }}
{% endmacro %}
