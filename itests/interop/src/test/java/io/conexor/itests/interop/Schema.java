package io.conexor.itests.interop;

/** A database with what databases have. */
final class Schema {

  private Schema() {}

  static final String SQL =
      """
      create type mood as enum ('sad', 'ok', 'happy');
      create table suppliers (
        id integer primary key,
        name text not null unique,
        country char(2)
      );
      create table products (
        id bigint primary key,
        supplier_id integer references suppliers,
        name text not null,
        price numeric(12,2) not null,
        tags text[] not null default '{}',
        added timestamptz not null,
        constraint products_supplier_name unique (supplier_id, name)
      );
      comment on table products is 'What can be bought';
      create table order_lines (
        order_no integer,
        line_no smallint,
        product_id bigint not null references products,
        quantity integer not null,
        primary key (order_no, line_no)
      );
      create table things (
        id uuid primary key,
        flag boolean,
        tiny smallint,
        big bigint,
        exact numeric(38,10),
        float_ double precision,
        label varchar(40),
        feeling mood,
        raw bytea,
        document jsonb,
        plain json,
        numbers integer[],
        matrix integer[][],
        day date,
        clock time,
        at timestamp,
        at_zone timestamptz,
        span interval,
        net inet
      );
      create table log (message text, level integer);
      create view expensive as select * from products where price > 900;
      create schema odd;
      create table odd."Größe & Preis" (
        "Schlüssel \"\"1\"\"\" integer primary key,
        "select" text,
        "bild 🖼" text
      );
      create table odd.products (id integer primary key, note text);
      create table numbers (n integer primary key, t text not null);

      insert into suppliers select i, 'Supplier ' || i, case when i % 2 = 0 then 'DE' end from generate_series(1, 20) i;
      insert into products select i, 1 + i % 20, 'Product ' || i, (i % 1000) + 0.99,
        case when i % 3 = 0 then array['red', 'big'] else array['blue'] end,
        timestamptz '2026-01-01 00:00:00+01' + i * interval '1 minute' from generate_series(1, 2500) i;
      insert into order_lines select 1 + i / 3, i % 3, 1 + i % 2500, i % 7 from generate_series(0, 299) i;
      insert into things values (
        '00000000-0000-0000-0000-00000000000a', true, -7, 9223372036854775807, 1234567890123456789012345678.0123456789,
        0.1, 'Grüße, 世界 🌍 "quoted" \\ back', 'happy', '\\x00ff10', '{"a": [1, {"b": null}], "big": 12345678901234567890}',
        '{"z": 1}', '{1,NULL,3}', '{{1,2},{3,4}}', '2026-02-28', '23:59:59.123456', '2026-02-28 12:00:00.5',
        '2026-02-28 12:00:00+05:30', '1 day 02:03:04', '10.0.0.0/8'),
        ('00000000-0000-0000-0000-00000000000b', null, null, null, null, null, null, null, null, null, null, null, null,
        null, null, null, null, null, null);
      insert into log select 'line ' || i, i % 5 from generate_series(1, 45) i;
      insert into odd."Größe & Preis" values (1, 'ä', '🎨'), (2, null, '');
      insert into odd.products values (1, 'another products');
      insert into numbers select i, 'row ' || i || repeat('x', 60) from generate_series(1, 100000) i;
      analyze;
      """;
}
