package io.conexor.rest;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.conexor.api.http.HttpExchange;
import java.io.ByteArrayOutputStream;
import java.math.BigDecimal;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.JsonNodeFactory;
import tools.jackson.databind.node.ObjectNode;

/** Small documents, read strictly. */
final class Json {

  static final String TYPE = "application/json";
  static final String PROBLEM_TYPE = "application/problem+json";

  /** Digits before or after the point beyond which a number is somebody's bomb. */
  private static final int MAX_SCALE = 400;

  private static final JsonMapper MAPPER =
      JsonMapper.builder(
              JsonFactory.builder()
                  .streamReadConstraints(
                      StreamReadConstraints.builder()
                          .maxNestingDepth(32)
                          .maxNumberLength(400)
                          .maxNameLength(1_000)
                          .build())
                  .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                  .build())
          .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  private Json() {}

  static ObjectNode object() {
    return JsonNodeFactory.instance.objectNode();
  }

  static byte[] bytes(JsonNode node) {
    ByteArrayOutputStream out = new ByteArrayOutputStream(512);
    MAPPER.writeValue(out, node);
    return out.toByteArray();
  }

  static JsonNode parse(byte[] bytes) {
    return MAPPER.readTree(bytes);
  }

  static byte[] problem(Problem problem, String requestId) {
    return bytes(tree(problem, requestId));
  }

  static ObjectNode tree(Problem problem, String requestId) {
    ObjectNode json = object();
    json.put("type", "urn:conexor:problem:" + problem.code());
    json.put("title", problem.title());
    json.put("status", problem.status());
    json.put("detail", problem.detail());
    json.put("code", problem.code());
    json.put("applied", problem.applied().name());
    json.put("requestId", requestId);
    if (!problem.fields().isEmpty()) {
      var errors = json.putArray("errors");
      for (Problem.FieldProblem field : problem.fields()) {
        errors.addObject().put("field", field.field()).put("message", field.message());
      }
    }
    return json;
  }

  /**
   * The object in a request's body. Reading a field that is not as it should be notes a problem and
   * goes on, so that one answer names them all: {@link #done} raises it.
   */
  static final class Body {
    private static final String NOT_TEXT =
        "must not hold the character U+0000 or half of a surrogate pair";

    private final JsonNode node;
    private final Set<String> read = new HashSet<>();
    private final List<Problem.FieldProblem> problems = new ArrayList<>();

    private Body(JsonNode node) {
      this.node = node;
    }

    static Body of(HttpExchange exchange) {
      Optional<String> type = exchange.header("Content-Type");
      if (type.isPresent()
          && !type.get().split(";", 2)[0].strip().equalsIgnoreCase("application/json")) {
        throw Problem.raise(415, "content_type_invalid", "the body must be application/json");
      }
      JsonNode node;
      try {
        node = parse(exchange.body());
      } catch (JacksonException e) {
        var where = e.getLocation();
        throw Problem.raise(
            400,
            "json_invalid",
            "the body is not JSON as it is needed here"
                + (where == null
                    ? ""
                    : " (line " + where.getLineNr() + ", column " + where.getColumnNr() + ")"));
      }
      if (!node.isObject()) {
        throw Problem.raise(400, "json_invalid", "the body must be a JSON object");
      }
      return new Body(node);
    }

    /** The names of all fields, at most so many. */
    List<String> fields(int most) {
      if (node.size() > most) {
        throw Problem.raise(422, "too_many_fields", "the body has more than " + most + " fields");
      }
      return List.copyOf(node.propertyNames());
    }

    private @Nullable JsonNode take(String field) {
      read.add(field);
      JsonNode value = node.get(field);
      return value == null || value.isNull() ? null : value;
    }

    void wrong(String field, String message) {
      problems.add(new Problem.FieldProblem(field, message));
    }

    String text(String field, int max) {
      Optional<String> text = optionalText(field, max);
      if (text.isEmpty() && problems.stream().noneMatch(p -> p.field().equals(field))) {
        wrong(field, "is missing");
      }
      return text.orElse("");
    }

    String text(String field, Pattern pattern) {
      String text = text(field, 10_000);
      if (!text.isEmpty() && !pattern.matcher(text).matches()) {
        wrong(field, "does not match " + pattern.pattern());
      }
      return text;
    }

    Optional<String> optionalText(String field, int max) {
      JsonNode value = take(field);
      if (value == null) {
        return Optional.empty();
      }
      if (!value.isString()) {
        wrong(field, "must be a text");
        return Optional.empty();
      }
      String text = value.stringValue();
      if (text.length() > max) {
        wrong(field, "has more than " + max + " characters");
      } else if (!isText(text)) {
        wrong(field, NOT_TEXT);
      }
      return Optional.of(text);
    }

    /**
     * What PostgreSQL can keep: no U+0000, and no half of a surrogate pair, which UTF-8 has not.
     */
    private static boolean isText(String text) {
      return text.indexOf('\0') < 0 && UTF_8.newEncoder().canEncode(text);
    }

    boolean bool(String field, boolean otherwise) {
      JsonNode value = take(field);
      if (value == null) {
        return otherwise;
      }
      if (!value.isBoolean()) {
        wrong(field, "must be true or false");
        return otherwise;
      }
      return value.booleanValue();
    }

    Optional<Long> number(String field, long min, long max) {
      JsonNode value = take(field);
      if (value == null) {
        return Optional.empty();
      }
      if (!value.isIntegralNumber() || !value.canConvertToLong()) {
        wrong(field, "must be a whole number within " + min + ".." + max);
        return Optional.empty();
      }
      long number = value.longValue();
      if (number < min || number > max) {
        wrong(field, "must be within " + min + ".." + max);
      }
      return Optional.of(number);
    }

    Optional<Instant> instant(String field) {
      return optionalText(field, 40)
          .flatMap(
              text -> {
                try {
                  return Optional.of(Instant.parse(text));
                } catch (DateTimeException e) {
                  wrong(field, "must be a moment such as 2030-01-31T12:00:00Z");
                  return Optional.empty();
                }
              });
    }

    <E extends Enum<E>> Optional<E> choice(String field, Class<E> type) {
      return optionalText(field, 40)
          .flatMap(
              text -> {
                for (E each : type.getEnumConstants()) {
                  if (each.name().equalsIgnoreCase(text)) {
                    return Optional.of(each);
                  }
                }
                wrong(field, "must be one of " + List.of(type.getEnumConstants()));
                return Optional.empty();
              });
    }

    List<String> texts(String field, int maxItems, int maxLength) {
      List<String> texts = new ArrayList<>();
      for (JsonNode each : array(field, maxItems)) {
        if (each.isString()
            && each.stringValue().length() <= maxLength
            && isText(each.stringValue())) {
          texts.add(each.stringValue());
        } else {
          wrong(field, "must hold texts of at most " + maxLength + " characters");
          break;
        }
      }
      return texts;
    }

    List<JsonNode> array(String field, int maxItems) {
      JsonNode value = take(field);
      if (value == null) {
        return List.of();
      }
      if (!value.isArray() || value.size() > maxItems) {
        wrong(field, "must be an array of at most " + maxItems + " items");
        return List.of();
      }
      List<JsonNode> items = new ArrayList<>();
      value.forEach(items::add);
      return items;
    }

    /** Statement parameters: null, Boolean, Long, BigDecimal, String or a List of these. */
    List<@Nullable Object> parameters(String field, int maxItems) {
      List<@Nullable Object> parameters = new ArrayList<>();
      for (JsonNode each : array(field, maxItems)) {
        parameters.add(parameter(field + "[" + parameters.size() + "]", each, 0));
      }
      return parameters;
    }

    private @Nullable Object parameter(String field, JsonNode value, int depth) {
      if (value.isNull()) {
        return null;
      }
      if (value.isString()) {
        return value.stringValue();
      }
      if (value.isBoolean()) {
        return value.booleanValue();
      }
      if (value.isIntegralNumber() && value.canConvertToLong()) {
        return value.longValue();
      }
      if (value.isNumber()) {
        BigDecimal number = value.decimalValue();
        if (Math.abs((long) number.scale()) <= MAX_SCALE) {
          return number;
        }
        wrong(field, "is a number of too many digits");
        return null;
      }
      if (value.isArray() && depth < 4) {
        List<@Nullable Object> items = new ArrayList<>();
        value.forEach(item -> items.add(parameter(field, item, depth + 1)));
        return items;
      }
      wrong(field, "must be null, true, false, a number, a text or an array of these");
      return null;
    }

    /** Raises what is wrong, unknown fields included. */
    void done() {
      for (String name : node.propertyNames()) {
        if (!read.contains(name)) {
          wrong(name.length() > 60 ? name.substring(0, 60) : name, "is not known here");
        }
        if (problems.size() > 20) {
          break;
        }
      }
      if (!problems.isEmpty()) {
        throw new Problem.Raised(
            new Problem(
                400,
                "request_invalid",
                problems.size() == 1
                    ? problems.get(0).field() + " " + problems.get(0).message()
                    : problems.size() + " fields are wrong",
                io.conexor.api.ConexorException.Applied.NO,
                Optional.empty(),
                List.copyOf(problems)));
      }
    }
  }
}
