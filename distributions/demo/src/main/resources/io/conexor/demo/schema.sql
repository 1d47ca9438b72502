create table continents (
  code text primary key,
  name text not null
);
create table countries (
  code           text primary key,
  name           text not null,
  continent_code text not null references continents
);
create table regions (
  code         text primary key,
  country_code text not null references countries,
  name         text not null
);
create table airports (
  id                    integer primary key,
  ident                 text not null unique,
  iata_code             text unique,
  name                  text not null,
  type                  text not null,
  latitude              numeric(9, 6) not null,
  longitude             numeric(9, 6) not null,
  elevation_ft          integer,
  country_code          text not null references countries,
  region_code           text not null references regions,
  municipality          text,
  has_scheduled_service boolean not null
);
create table cities (
  id           integer primary key,
  name         text not null,
  country_code text not null references countries,
  population   integer not null,
  latitude     numeric(9, 6) not null,
  longitude    numeric(9, 6) not null,
  is_capital   boolean not null
);

comment on table continents is 'Continents; public domain, OurAirports';
comment on table countries is 'Countries by their ISO 3166-1 code; public domain, OurAirports';
comment on table regions is 'Regions by their ISO 3166-2 code; public domain, OurAirports';
comment on table airports is 'Medium and large airports; public domain, OurAirports';
comment on table cities is 'Cities of 15,000 inhabitants and more; CC BY 4.0, GeoNames';
comment on column airports.type is 'medium or large';
