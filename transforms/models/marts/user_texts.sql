with events as (
    select * from {{ ref('int_events_deduplicated') }}
    where {{ is_built_day() }}
),

final as (
    select
        day,
        event_id,
        user_id,
        item_id,
        event_type,
        text,
        event_at
    from events
    where text is not null
)

select * from final
