package io.conexor.api.call;

import java.time.Instant;
import java.util.List;

/**
 * The structure of a data source when it was last looked at.
 *
 * @param engine as in {@link io.conexor.api.catalog.DataSource#engine()}
 * @param tables ordered by schema and name
 */
public record SourceSchema(String source, String engine, Instant discoveredAt, List<Table> tables) {

  public SourceSchema {
    tables = List.copyOf(tables);
  }

  /**
   * A table or view.
   *
   * @param schema empty where the engine has none
   * @param kind {@code table} or {@code view}
   * @param estimatedRows -1 = unknown
   * @param unique column lists of unique constraints and indexes, the primary key left out
   */
  public record Table(
      String schema,
      String name,
      String kind,
      String comment,
      long estimatedRows,
      List<TableColumn> columns,
      List<String> primaryKey,
      List<List<String>> unique,
      List<ForeignKey> foreignKeys,
      List<List<String>> indexes) {

    public Table {
      columns = List.copyOf(columns);
      primaryKey = List.copyOf(primaryKey);
      unique = List.copyOf(unique);
      foreignKeys = List.copyOf(foreignKeys);
      indexes = List.copyOf(indexes);
    }
  }

  /**
   * A column of a table.
   *
   * @param engineType with length and precision, e.g. {@code varchar(40)}
   * @param defaultValue as the engine prints it; empty = none
   */
  public record TableColumn(
      String name,
      ColumnType type,
      String engineType,
      boolean nullable,
      String defaultValue,
      String comment) {}

  /** A reference; {@code columns} and {@code refColumns} have the same length. */
  public record ForeignKey(
      List<String> columns, String refSchema, String refTable, List<String> refColumns) {

    public ForeignKey {
      columns = List.copyOf(columns);
      refColumns = List.copyOf(refColumns);
    }
  }
}
