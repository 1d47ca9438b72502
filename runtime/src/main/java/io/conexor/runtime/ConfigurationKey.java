package io.conexor.runtime;

import java.lang.reflect.Array;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One configuration key as a bundle declares it in its metatype XML.
 *
 * @param name the name an operator writes: the PID without {@code io.conexor.}, a dot, the
 *     attribute id
 * @param factory whether the PID is a factory, so that instances are written {@code
 *     pid~instance.attribute}
 * @param list whether the value is a comma-separated list
 * @param options the only values allowed; empty if any will do
 */
public record ConfigurationKey(
    String name,
    String pid,
    String attribute,
    Type type,
    boolean factory,
    boolean list,
    @Nullable String min,
    @Nullable String max,
    @Nullable String defaultValue,
    List<String> options) {

  /** Metatype types, with what turns text into the type Configuration Admin stores. */
  public enum Type {
    STRING(String.class),
    PASSWORD(String.class),
    INTEGER(Integer.class),
    LONG(Long.class),
    DOUBLE(Double.class),
    BOOLEAN(Boolean.class);

    private final Class<?> javaType;

    Type(Class<?> javaType) {
      this.javaType = javaType;
    }

    Object parse(String text) {
      return switch (this) {
        case STRING, PASSWORD -> text;
        case INTEGER -> Integer.valueOf(text);
        case LONG -> Long.valueOf(text);
        case DOUBLE -> Double.valueOf(text);
        case BOOLEAN -> strictBoolean(text);
      };
    }

    static Type of(String metatype) {
      return switch (metatype) {
        case "Integer", "Short", "Byte", "Char", "Character" -> INTEGER;
        case "Long" -> LONG;
        case "Double", "Float" -> DOUBLE;
        case "Boolean" -> BOOLEAN;
        case "Password" -> PASSWORD;
        default -> STRING;
      };
    }

    boolean isNumber() {
      return this == INTEGER || this == LONG || this == DOUBLE;
    }

    private static Object strictBoolean(String text) {
      if (text.equals("true") || text.equals("false")) {
        return Boolean.valueOf(text);
      }
      throw new IllegalArgumentException(text);
    }
  }

  public ConfigurationKey {
    options = List.copyOf(options);
  }

  /** The environment variable that sets the key. */
  public String environmentName() {
    return environmentName(name);
  }

  static String environmentName(String name) {
    return "CONEXOR_"
        + name.replace("~", "__").replaceAll("[.-]", "_").toUpperCase(java.util.Locale.ROOT);
  }

  /**
   * Turns text into the declared type.
   *
   * @throws IllegalArgumentException saying what would be accepted; never repeating a password
   */
  Object parse(String text) {
    if (!list) {
      return parseOne(text.trim());
    }
    List<Object> values = new ArrayList<>();
    for (String part : text.split(",", -1)) {
      if (!part.isBlank()) {
        values.add(parseOne(part.trim()));
      }
    }
    Object array = Array.newInstance(type.javaType, values.size());
    for (int i = 0; i < values.size(); i++) {
      Array.set(array, i, values.get(i));
    }
    return array;
  }

  private Object parseOne(String text) {
    Object value;
    try {
      value = type.parse(text);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("'" + shown(text) + "' is not " + accepted(), e);
    }
    if (!options.isEmpty() && !options.contains(text)) {
      throw new IllegalArgumentException("'" + shown(text) + "' is not " + accepted());
    }
    if (type.isNumber()) {
      double number = ((Number) value).doubleValue();
      if ((min != null && number < Double.parseDouble(min))
          || (max != null && number > Double.parseDouble(max))) {
        throw new IllegalArgumentException("'" + text + "' is not " + accepted());
      }
    }
    return value;
  }

  private String shown(String text) {
    return type == Type.PASSWORD ? "***" : text;
  }

  private String accepted() {
    if (!options.isEmpty()) {
      return "one of " + options;
    }
    return switch (type) {
      case INTEGER, LONG -> "a whole number" + range();
      case DOUBLE -> "a number" + range();
      case BOOLEAN -> "true or false";
      case STRING, PASSWORD -> "a text";
    };
  }

  private String range() {
    if (min != null && max != null) {
      return " between " + min + " and " + max;
    }
    return min != null ? " of at least " + min : max != null ? " of at most " + max : "";
  }

  /**
   * Name, what is accepted, and the default: enough to correct a line without opening the manual.
   */
  public String describe() {
    return "'%s' (%s%s)"
        .formatted(
            name,
            accepted(),
            defaultValue == null || defaultValue.isEmpty() ? "" : ", default " + defaultValue);
  }
}
