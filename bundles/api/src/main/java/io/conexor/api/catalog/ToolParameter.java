package io.conexor.api.catalog;

import io.conexor.api.call.ColumnType;
import java.util.Optional;

/**
 * A named parameter of a tool; {@code :name} in its statement.
 *
 * @param defaultValue JSON text; empty = none
 */
public record ToolParameter(
    String name,
    ColumnType type,
    String description,
    boolean required,
    Optional<String> defaultValue) {}
