with users as (
    select * from {{ source('raw', 'raw_users') }}
),

cleaned as (
    select
        cast(parse_filename(filename, true) as date) as partition_day,
        user_id,
        attributes,
        source_file,
        source_row
    from users
)

select * from cleaned
