with events as (
    select * from {{ ref('int_events_deduplicated') }}
    where {{ is_built_day() }}
),

sessions as (
    select * from {{ ref('int_sessions') }}
),

activity as (
    select
        day,
        user_id,
        count(*) as num_events,
        count(distinct item_id) as num_items,
        count(*) filter (where weight > 0) as num_positive,
        count(*) filter (where weight < 0) as num_negative,
        {{ ordered_sum('weight') }} as total_weight,
        max(event_at) as last_event_at
    from events
    group by day, user_id
),

num_sessions as (
    select
        day,
        user_id,
        count(*) as num_sessions
    from sessions
    group by day, user_id
),

final as (
    select
        day,
        user_id,
        num_events,
        num_items,
        num_sessions,
        num_positive,
        num_negative,
        total_weight,
        last_event_at
    from activity
    left join num_sessions using (day, user_id)
)

select * from final
