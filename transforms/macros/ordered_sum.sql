{# SQL: a sum of doubles in event order: threads add them in any order, and the last bits would differ from run to run. #}
{% macro ordered_sum(column) -%}
    sum({{ column }} order by event_at, event_id, user_id)
{%- endmacro %}
