create index on countries (continent_code);
create index on regions (country_code);
create index on airports (country_code);
create index on airports (region_code);
create index on cities (country_code);
grant select on all tables in schema public to reader;
analyze continents, countries, regions, airports, cities;
