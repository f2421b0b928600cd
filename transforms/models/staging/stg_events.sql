with events as (
    select * from {{ source('raw', 'raw_events') }}
),

cleaned as (
    select
        cast(parse_filename(filename, true) as date) as partition_day,
        {{ utc_day('event_at') }} as day,
        event_id,
        user_id,
        item_id,
        event_type,
        event_at,
        value,
        {{ words('text') }} as text,
        session_id,
        source_file,
        source_row,
        is_superseded
    from events
)

select * from cleaned
-- A dataset whose start moved on keeps older files beside the first partition that holds their events too.
where partition_day >= date '{{ var("first_day") }}'
