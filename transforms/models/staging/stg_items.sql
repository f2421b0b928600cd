with items as (
    select * from {{ source('raw', 'raw_items') }}
),

cleaned as (
    select
        cast(parse_filename(filename, true) as date) as partition_day,
        item_id,
        coalesce({{ words('title') }}, item_id) as title,
        {{ words('text') }} as text,
        {{ words('category') }} as category,
        coalesce(tags, cast([] as varchar[])) as tags,
        attributes,
        image,
        created_at,
        source_file,
        source_row
    from items
)

select * from cleaned
