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

deduplicated as (
    select *
    from events
    -- Within a partition only: a day must not depend on which other days were built before it.
    qualify row_number() over (
        partition by partition_day, event_id
        order by event_at desc, source_file desc, source_row desc
    ) = 1
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
