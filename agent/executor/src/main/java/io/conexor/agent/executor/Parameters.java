package io.conexor.agent.executor;

import java.math.BigDecimal;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Types;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Binds the values of a call; nothing of them ever becomes part of a statement's text. */
final class Parameters {
  private Parameters() {}

  static void bind(
      PreparedStatement statement, List<? extends @Nullable Object> values, Dialect dialect)
      throws SQLException {
    for (int i = 0; i < values.size(); i++) {
      bind(statement, i + 1, values.get(i), dialect);
    }
  }

  private static void bind(
      PreparedStatement statement, int i, @Nullable Object value, Dialect dialect)
      throws SQLException {
    if (value == null) {
      statement.setNull(i, dialect == Dialect.ORACLE ? Types.VARCHAR : Types.NULL);
    } else if (value instanceof Long number) {
      // PostgreSQL finds left(text, integer) and date + integer for an int4 only, as it does for a
      // literal
      if (dialect == Dialect.POSTGRESQL && number.intValue() == number) {
        statement.setInt(i, number.intValue());
      } else {
        statement.setLong(i, number);
      }
    } else if (value instanceof String text) {
      statement.setString(i, text);
    } else if (value instanceof Boolean flag) {
      statement.setBoolean(i, flag);
    } else if (value instanceof Double number) {
      if (dialect == Dialect.POSTGRESQL && Double.isFinite(number)) {
        // what a literal with a point is, too; float8 has no round(x, n)
        statement.setBigDecimal(i, new BigDecimal(number.toString()));
      } else {
        statement.setDouble(i, number);
      }
    } else if (value instanceof BigDecimal number) {
      statement.setBigDecimal(i, number);
    } else if (value instanceof byte[] bytes) {
      statement.setBytes(i, bytes);
    } else if (value instanceof List<?> list) {
      array(statement, i, list, dialect);
    } else {
      throw new SQLException("parameter " + i + " has a type that cannot be bound", "22023");
    }
  }

  private static void array(PreparedStatement statement, int i, List<?> list, Dialect dialect)
      throws SQLException {
    if (dialect == Dialect.POSTGRESQL) {
      // a literal of unknown type: the server decides whether it is int[], uuid[] or text[]
      StringBuilder literal = new StringBuilder();
      literal(list, literal);
      statement.setObject(i, literal.toString(), Types.OTHER);
    } else if (dialect == Dialect.H2) {
      statement.setObject(i, list.toArray());
    } else {
      throw new SQLException(
          "parameter "
              + i
              + " is a list, and "
              + dialect.title()
              + " has no arrays; write IN (?, ?, ...)",
          "22023");
    }
  }

  private static void literal(List<?> list, StringBuilder out) {
    out.append('{');
    String comma = "";
    for (Object element : list) {
      out.append(comma);
      comma = ",";
      if (element == null) {
        out.append("NULL");
      } else if (element instanceof List<?> inner) {
        literal(inner, out);
      } else if (element instanceof byte[] bytes) {
        out.append("\"\\\\x").append(java.util.HexFormat.of().formatHex(bytes)).append('"');
      } else {
        out.append('"')
            .append(element.toString().replace("\\", "\\\\").replace("\"", "\\\""))
            .append('"');
      }
    }
    out.append('}');
  }
}
