package io.conexor.api.call;

import java.util.Optional;

/**
 * A column of a result.
 *
 * @param elementType of an {@link ColumnType#ARRAY}
 * @param engineType the database's own name of the type, e.g. {@code int4}
 */
public record Column(
    String name,
    ColumnType type,
    boolean nullable,
    Optional<ColumnType> elementType,
    String engineType) {}
