{% macro query_comment_with_invocation(node) %}
    {%- set comment = {
        'app': 'penstock',
        'target_name': target.name,
        'invocation_id': invocation_id,
    } -%}
    {%- if node is not none -%}
        {%- do comment.update(node_id=node.unique_id) -%}
    {%- endif -%}
    {{ return(tojson(comment)) }}
{% endmacro %}
