{% macro only_changes(rows, key, values, tombstone, wide=[], landed=none, day=none) %}
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
    {%- for column in wide if column not in values or column == tombstone -%}
        {{ exceptions.raise_compiler_error(
            "only_changes: wide '" ~ column ~ "' must be one of values " ~ values ~ ' other than the tombstone.'
        ) }}
    {%- endfor -%}
    {%- if (landed is none) != (day is none) or (day is not none and day not in key) -%}
        {{ exceptions.raise_compiler_error(
            'only_changes: landed needs day, a column of the key, and day needs landed.'
        ) }}
    {%- endif -%}
    {%- set archived = 'false' if landed is none else is_archived(landed, 'built.' ~ day) -%}
    {%- set narrow = values | reject('in', wide) | list -%}
    select
        {%- for column in key %}
        {{ 'differing.' ~ column if wide else 'coalesce(incoming.' ~ column ~ ', built.' ~ column ~ ') as ' ~ column }},
        {%- endfor %}
        {%- for column in values %}
        incoming.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    {# The narrow side stands to the right: engines hold a join's right side in memory. #}
    from {{ rows }} as incoming
    {%- if wide %}
    right join (
        select
            {%- for column in key %}
            coalesce(incoming.{{ column }}, built.{{ column }}) as {{ column }}{{ ',' if not loop.last }}
            {%- endfor %}
        from (
            {{ with_checksums(rows, key + narrow, wide) | indent(12) }}
        ) as incoming
    {%- endif %}
    full outer join {% if wide %}(
            {{ with_checksums(this, key + narrow, wide) | indent(12) }}
        ){% else %}{{ this }}{% endif %} as built
        on
            {%- for column in key %}
            {{ 'and ' if not loop.first }}incoming.{{ column }} = built.{{ column }}
            {%- endfor %}
    where
        {%- if archived != 'false' %}
        -- What is not there to be read is not gone: the file it came in lies in the archive.
        not (incoming.{{ key[0] }} is null and {{ archived }})
        and
        {%- endif %} (
            incoming.{{ key[0] }} is null
            or built.{{ key[0] }} is null
            {%- for column in values %}
            or incoming.{{ column }} is distinct from built.{{ column }}
            {%- endfor %}
        )
    {%- if wide %}
    ) as differing
        on
            {%- for column in key %}
            {{ 'and ' if not loop.first }}incoming.{{ column }} = differing.{{ column }}
            {%- endfor %}
    {%- endif %}
{%- endmacro %}


{% macro with_checksums(relation, columns, wide) -%}
select
    {{ columns | join(',\n    ') }},
    {%- for column in wide %}
    checksum({{ column }}) as {{ column }}{{ ',' if not loop.last }}
    {%- endfor %}
from {{ relation }}
group by
    {{ columns | join(',\n    ') }}
{%- endmacro %}
