package io.conexor.dispatch;

import io.conexor.api.call.Column;
import io.conexor.api.call.ColumnType;
import io.conexor.protocol.agent.AgentMessage;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Columns as agents name them. */
final class Columns {

  private Columns() {}

  static @Nullable List<Column> of(@Nullable List<AgentMessage.Column> wire) {
    if (wire == null) {
      return null;
    }
    List<Column> columns = new ArrayList<>(wire.size());
    for (AgentMessage.Column column : wire) {
      String element = column.elementType();
      columns.add(
          new Column(
              column.name(),
              type(column.type()),
              column.nullable(),
              element == null ? Optional.empty() : Optional.of(type(element)),
              column.engineType()));
    }
    return List.copyOf(columns);
  }

  /** A type that a newer agent may know is one that is printed. */
  static ColumnType type(String name) {
    try {
      return ColumnType.valueOf(name);
    } catch (IllegalArgumentException e) {
      return ColumnType.OTHER;
    }
  }
}
