package io.conexor.catalog;

import io.conexor.api.call.SourceSchema;
import io.conexor.api.catalog.ToolParameter;
import java.util.List;
import tools.jackson.core.type.TypeReference;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.json.JsonMapper;

/**
 * The documents kept in {@code jsonb} columns. Unknown properties are ignored, so that an older
 * version can read a newer one's.
 */
final class Json {

  private static final JsonMapper MAPPER =
      JsonMapper.builder().disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES).build();
  private static final TypeReference<List<SourceSchema.Table>> TABLES = new TypeReference<>() {};
  private static final TypeReference<List<ToolParameter>> PARAMETERS = new TypeReference<>() {};

  private Json() {}

  static List<SourceSchema.Table> tables(String json) {
    return MAPPER.readValue(json, TABLES);
  }

  static List<ToolParameter> parameters(String json) {
    return MAPPER.readValue(json, PARAMETERS);
  }

  static String of(Object document) {
    return MAPPER.writeValueAsString(document);
  }
}
