{% macro only_changes(rows, key, values, tombstone) %}
    {#- Arguments that would silently lose rows are refused here, at compile time. -#}
    {%- if not key -%}
        {{ exceptions.raise_compiler_error('only_changes: key must name at least one column.') }}
    {%- endif -%}
    {%- if tombstone not in values -%}
        {{ exceptions.raise_compiler_error(
            "only_changes: tombstone '" ~ tombstone ~ "' must be one of values " ~ values ~ '.'
        ) }}
    {%- endif -%}
    {%- for column in key if column in values -%}
        {{ exceptions.raise_compiler_error(
            "only_changes: '" ~ column ~ "' is in key and in values; the key is what cannot change."
        ) }}
    {%- endfor -%}
    select
        {%- for column in key %}
        coalesce(incoming.{{ column }}, built.{{ column }}) as {{ column }},
        {%- endfor %}
        {%- for column in values %}
        incoming.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ rows }} as incoming
    full outer join {{ this }} as built
        on
            {%- for column in key %}
            {{ 'and ' if not loop.first }}incoming.{{ column }} = built.{{ column }}
            {%- endfor %}
    where
        incoming.{{ key[0] }} is null
        or built.{{ key[0] }} is null
        {%- for column in values %}
        or incoming.{{ column }} is distinct from built.{{ column }}
        {%- endfor %}
{%- endmacro %}
