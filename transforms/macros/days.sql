{# Days: a partition is a UTC day; the first one holds all earlier history too. #}

{# The days this build makes, as ISO strings. #}
{% macro built_days() %}
    {%- set first = modules.datetime.date.fromisoformat(var('start_day') | string) -%}
    {%- set last = modules.datetime.date.fromisoformat(var('end_day') | string) -%}
    {%- set days = [] -%}
    {%- for offset in range((last - first).days + 1) -%}
        {%- do days.append((first + modules.datetime.timedelta(days=offset)).isoformat()) -%}
    {%- endfor -%}
    {{ return(days) }}
{% endmacro %}

{# SQL: the partition column lies in the days this build makes. #}
{% macro is_built_day(column='partition_day') -%}
    {{ column }} between date '{{ var("start_day") }}' and date '{{ var("end_day") }}'
{%- endmacro %}

{# SQL: the partition that an event day belongs to. #}
{% macro partition_of(day='day') -%}
    greatest({{ day }}, date '{{ var("first_day") }}')
{%- endmacro %}

{# SQL: the UTC day of an instant, whatever the session's time zone. #}
{% macro utc_day(instant) -%}
    cast({{ instant }} at time zone 'UTC' as date)
{%- endmacro %}

{# SQL: the instant that ends a day, exclusive: its `as_of`. #}
{% macro end_of(day) -%}
    ((cast({{ day }} as timestamp) + interval 1 day) at time zone 'UTC')
{%- endmacro %}
