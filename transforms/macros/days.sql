{# Days: a partition is a UTC day; the first one holds all earlier history too. #}

{#
  The days of the range that this build makes, as ISO strings: all of it, or those that a var lists.
  Tables of a day's events (`only_days`) and snapshots at a day's end (`only_snapshot_days`) are asked for apart:
  a late event changes one day's events and every later snapshot.
#}
{% macro days_of_range(only) %}
    {%- set first = modules.datetime.date.fromisoformat(var('start_day') | string) -%}
    {%- set last = modules.datetime.date.fromisoformat(var('end_day') | string) -%}
    {%- set days = [] -%}
    {%- for offset in range((last - first).days + 1) -%}
        {%- set day = (first + modules.datetime.timedelta(days=offset)).isoformat() -%}
        {%- if only is none or day in only -%}
            {%- do days.append(day) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(days) }}
{% endmacro %}

{% macro built_days() %}
    {{ return(days_of_range(var('only_days'))) }}
{% endmacro %}

{% macro snapshot_days() %}
    {{ return(days_of_range(var('only_snapshot_days'))) }}
{% endmacro %}

{# SQL: the partition column lies in the days of events this build makes. #}
{% macro is_built_day(column='partition_day') -%}
    {{ is_day_of(column, var('only_days')) }}
{%- endmacro %}

{# SQL: the partition column lies in the days this build makes snapshots of. #}
{% macro is_snapshot_day(column='partition_day') -%}
    {{ is_day_of(column, var('only_snapshot_days')) }}
{%- endmacro %}

{% macro is_day_of(column, only) -%}
    {%- if only is none -%}
    {{ column }} between date '{{ var("start_day") }}' and date '{{ var("end_day") }}'
    {%- elif not only -%}
    false
    {%- else -%}
    {{ column }} in (date '{{ days_of_range(only) | join("', date '") }}')
    {%- endif -%}
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
