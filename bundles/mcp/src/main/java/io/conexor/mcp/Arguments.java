package io.conexor.mcp;

import io.conexor.api.call.ColumnType;
import io.conexor.mcp.ToolDefinition.Parameter;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Checks what a client passes against what a tool takes. */
final class Arguments {

  /** The arguments do not fit; the message is for whoever made them. */
  static final class InvalidException extends RuntimeException {
    InvalidException(String message) {
      super(message);
    }
  }

  private Arguments() {}

  static Map<String, @Nullable Object> checked(
      ToolDefinition tool, Map<String, @Nullable Object> given) {
    Map<String, @Nullable Object> checked = new LinkedHashMap<>();
    for (Parameter parameter : tool.parameters()) {
      Object value = given.get(parameter.name());
      if (value == null) {
        value = parameter.defaultValue();
      }
      if (value == null) {
        if (parameter.required()) {
          throw new InvalidException("argument '" + parameter.name() + "' is missing");
        }
        continue;
      }
      checked.put(parameter.name(), converted(parameter.name(), parameter.type(), value));
    }
    for (String name : given.keySet()) {
      if (tool.parameters().stream().noneMatch(p -> p.name().equals(name))) {
        throw new InvalidException(
            "tool '" + tool.name() + "' has no argument '" + shown(name) + "'");
      }
    }
    return checked;
  }

  private static String shown(String name) {
    return name.length() > 64 ? name.substring(0, 64) + "..." : name;
  }

  static Object converted(String name, ColumnType type, Object value) {
    Object fit =
        switch (type) {
          case BOOLEAN -> value instanceof Boolean ? value : null;
          case INTEGER -> integer(value);
          case DOUBLE -> value instanceof Number number ? (Object) number.doubleValue() : null;
          case DECIMAL -> decimal(value);
          case ARRAY -> value instanceof List<?> list ? list(name, list) : null;
          default -> value instanceof String ? value : null;
        };
    if (fit == null) {
      throw new InvalidException("argument '" + name + "' is not of type " + type);
    }
    return fit;
  }

  private static @Nullable Object integer(Object value) {
    if (value instanceof Long) {
      return value;
    }
    boolean whole =
        value instanceof Double number
            && number == Math.rint(number)
            && Math.abs(number) <= 9_007_199_254_740_991d;
    if (whole) {
      return ((Double) value).longValue();
    }
    if (value instanceof String text && text.matches("-?[0-9]{1,19}")) {
      try {
        return Long.valueOf(text); // beyond 2^53 JSON numbers lose digits, so texts are taken too
      } catch (NumberFormatException e) {
        return null;
      }
    }
    return null;
  }

  private static @Nullable Object decimal(Object value) {
    if (value instanceof Long number) {
      return BigDecimal.valueOf(number);
    }
    if (value instanceof Double number) {
      return BigDecimal.valueOf(number);
    }
    if (value instanceof String text && text.length() <= 200) {
      try {
        return new BigDecimal(text);
      } catch (NumberFormatException e) {
        return null;
      }
    }
    return null;
  }

  static List<@Nullable Object> list(String name, List<?> values) {
    List<@Nullable Object> list = new ArrayList<>(values.size());
    for (Object value : values) {
      if (value instanceof Map) {
        throw new InvalidException("argument '" + name + "' holds an object");
      }
      list.add(value instanceof List<?> inner ? list(name, inner) : value);
    }
    return list;
  }
}
