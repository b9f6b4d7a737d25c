{#- Functions in Postgres (dbt's resource `function`) in plpgsql, with settings of their own and rights for those named. -#}

{% macro postgres__scalar_function_sql(target_relation) %}
    {%- set declared = model.config.meta.get('postgres', {}) -%}
    {%- set name = target_relation.render() -%}
    {%- set arguments = formatted_scalar_function_args_sql() | trim -%}
    {%- set types = model.arguments | map(attribute='data_type') | join(', ') -%}
    {%- set mark = function_mark(arguments ~ ' ' ~ model.returns.data_type) -%}
    {#- The first vector of a session loads pgvector: a role that is no superuser may set only what a library has declared. -#}
    select '[1]'::vector;
    {{ drop_other_forms(target_relation, mark) }}
    create or replace function {{ name }} ({{ arguments }})
    returns {{ model.returns.data_type }}
    language {{ declared.get('language', 'sql') }}
    {{ scalar_function_volatility_sql() }}
    {%- for setting, value in declared.get('settings', {}).items() %}
    set {{ setting }} = {{ value if setting == 'search_path' else "'" ~ value ~ "'" }}
    {%- endfor %}
    as $function$
{{ model.compiled_code }}
    $function$;
    comment on function {{ name }} ({{ types }}) is {{ sql_literal(model.description ~ '\n' ~ mark) }};
    {%- if declared.get('execute') %}
    revoke execute on function {{ name }} ({{ types }}) from public;
    {{ grant_usage(target_relation, declared.execute) }};
    grant execute on function {{ name }} ({{ types }}) to {{ declared.execute | join(', ') }};
    {%- endif %}
{% endmacro %}


{% macro function_mark(form='') %}
    {{- return('dbt: ' ~ project_name ~ (' ' ~ local_md5(form) if form else '')) -}}
{% endmacro %}


{% macro sql_literal(text) %}
    {{- return("'" ~ text | replace("'", "''") ~ "'") -}}
{% endmacro %}


{% macro drop_other_forms(relation, mark) %}
    {#- A function of other arguments would be one more of the name, one of another result is refused: both go first. -#}
    do $drop$
    declare
        other regprocedure;
    begin
        for other in
            select p.oid::regprocedure
            from pg_catalog.pg_proc as p
            where
                p.pronamespace = to_regnamespace({{ sql_literal(relation.schema) }})
                and p.proname = {{ sql_literal(relation.identifier) }}
                and obj_description(p.oid, 'pg_proc') like {{ sql_literal('%' ~ function_mark() ~ ' %') }}
                and obj_description(p.oid, 'pg_proc') not like {{ sql_literal('%' ~ mark) }}
        loop
            execute format('drop function %s', other);
        end loop;
    end
    $drop$;
{% endmacro %}


{% macro grant_usage(relation, roles) %}
    {#- Opens a relation's schema to roles. Two models at once would change the schema's row together, which Postgres refuses. -#}
    do $grant$
    begin
        perform pg_advisory_xact_lock(hashtextextended('penstock.serving:usage', 0));
        {%- for role in roles %}
        if not has_schema_privilege({{ sql_literal(role) }}, {{ sql_literal(relation.schema) }}, 'usage') then
            grant usage on schema {{ relation.schema }} to {{ role }};
        end if;
        {%- endfor %}
    end
    $grant$
{% endmacro %}
