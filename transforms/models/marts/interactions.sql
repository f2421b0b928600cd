with events as (
    select * from {{ ref('int_events_deduplicated') }}
    where {{ is_built_day() }}
),

item_events as (
    select * from events
    where item_id is not null
),

final as (
    select
        day,
        user_id,
        item_id,
        {{ ordered_sum('weight') }} as weight,
        count(*) as num_events,
        min(event_at) as first_event_at,
        max(event_at) as last_event_at
    from item_events
    group by day, user_id, item_id
)

select * from final
