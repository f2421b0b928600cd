{#
  SQL: what an event is worth, signed, by the dataset file's `weights`; null for a type that has none.
  An expression that cannot be computed for a row gives null too: one bad value must not stop the good rows.
#}
{% macro event_weight() -%}
    {%- if not var('weights') -%}
    cast(null as double)
    {%- else -%}
    case event_type
        {%- for event_type, expression in var('weights').items() %}
        when '{{ event_type | string | replace("'", "''") }}' then try(cast((
            {{ expression }}
        ) as double))
        {%- endfor %}
    end
    {%- endif -%}
{%- endmacro %}
