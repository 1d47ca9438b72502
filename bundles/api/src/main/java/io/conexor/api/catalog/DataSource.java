package io.conexor.api.catalog;

import java.time.Instant;

/**
 * A database that one or more agents can reach under one name. It belongs to the organisation:
 * deleting an agent leaves it alone.
 *
 * @param name unique in the organisation: 1 to 63 characters of {@code [a-z0-9_-]}
 * @param engine {@code postgresql}, {@code mysql}, {@code mariadb}, {@code sqlserver}, {@code
 *     oracle}, {@code sqlite} or {@code h2}
 */
public record DataSource(
    OrgId org, String name, String engine, String description, Instant createdAt) {}
