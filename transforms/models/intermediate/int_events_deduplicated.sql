{#
  The only model that keeps history. A warehouse that is new, or was lost, reads every raw partition there is;
  after that a build reads the days of its range.
#}
{{ config(materialized='incremental', incremental_strategy='replace_days', on_schema_change='fail') }}

with events as (
    select * from {{ ref('stg_events') }}
    {% if is_incremental() %}
    where {{ is_built_day() }}
    {% endif %}
),

-- Which delivery counts was decided at the landing, where those of all days are known.
deduplicated as (
    select * from events
    where not is_superseded
),

weighed as (
    select
        *,
        {{ event_weight() }} as given_weight
    from deduplicated
),

final as (
    select
        partition_day,
        day,
        event_id,
        user_id,
        item_id,
        event_type,
        event_at,
        value,
        text,
        session_id,
        case when isfinite(given_weight) then given_weight else 0 end as weight,
        coalesce(isfinite(given_weight), false) as has_weight,
        source_file,
        source_row
    from weighed
)

select * from final
