package io.conexor.rest;

import io.conexor.api.Page;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** What an operation answers. */
record Answer(int status, @Nullable JsonNode body, Map<String, String> headers) {

  static Answer ok(JsonNode body) {
    return new Answer(200, body, Map.of());
  }

  static Answer created(String location, JsonNode body) {
    return new Answer(201, body, Map.of("Location", location));
  }

  static Answer noContent() {
    return new Answer(204, null, Map.of());
  }

  Answer with(String header, String value) {
    Map<String, String> more = new LinkedHashMap<>(headers);
    more.put(header, value);
    return new Answer(status, body, more);
  }

  /** A listing that is in memory: sorted by a unique text, cut into pages by it. */
  static <T> Answer listing(
      Call call, Iterable<T> items, Function<T, String> order, Function<T, ObjectNode> json) {
    int limit = limit(call, 1_000, 100);
    String after = call.exchange.queryParameter("cursor").map(Answer::decode).orElse("");
    List<T> sorted = new ArrayList<>();
    items.forEach(sorted::add);
    sorted.sort(java.util.Comparator.comparing(order));
    List<T> page = new ArrayList<>();
    String next = null;
    for (T item : sorted) {
      if (order.apply(item).compareTo(after) <= 0) {
        continue;
      }
      if (page.size() == limit) {
        next = encode(order.apply(page.get(limit - 1)));
        break;
      }
      page.add(item);
    }
    return page(new Page<>(page, Optional.ofNullable(next)), json);
  }

  static <T> Answer page(Page<T> page, Function<T, ObjectNode> json) {
    ObjectNode body = Json.object();
    var array = body.putArray("items");
    page.items().forEach(item -> array.add(json.apply(item)));
    page.next().ifPresent(next -> body.put("next", next));
    return ok(body);
  }

  static int limit(Call call, int max, int otherwise) {
    Optional<String> text = call.exchange.queryParameter("limit");
    if (text.isEmpty()) {
      return otherwise;
    }
    try {
      int limit = Integer.parseInt(text.get());
      if (limit >= 1 && limit <= max) {
        return limit;
      }
    } catch (NumberFormatException e) {
      // said below
    }
    throw Problem.raise(400, "limit_invalid", "limit must be within 1.." + max);
  }

  private static String encode(String text) {
    return Base64.getUrlEncoder()
        .withoutPadding()
        .encodeToString(text.getBytes(StandardCharsets.UTF_8));
  }

  private static String decode(String cursor) {
    try {
      return new String(Base64.getUrlDecoder().decode(cursor), StandardCharsets.UTF_8);
    } catch (IllegalArgumentException e) {
      throw Problem.raise(400, "cursor_invalid", "this is not a cursor of this listing");
    }
  }
}
